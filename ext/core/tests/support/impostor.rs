//! Servers that are not PostgreSQL, or not as one knows it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Listens on a port of its own and treats every connection alike, until the process ends.
pub struct Impostor {
    pub port: u16,
}

impl Impostor {
    /// Answers the first bytes with these, and then keeps the connection open.
    pub fn answering(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::serving(move |mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(&answer);
            wait_for_end(stream);
        })
    }

    /// Answers like a PostgreSQL that turns everybody away with this error.
    pub fn failing_with(sqlstate: &str, message: &str) -> Self {
        let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        Self::answering(&[b"E", &length[..], fields.as_bytes()].concat())
    }

    /// Speaks first, as SSH and MySQL do.
    pub fn greeting(greeting: &[u8]) -> Self {
        let greeting = greeting.to_vec();
        Self::serving(move |mut stream| {
            let _ = stream.write_all(&greeting);
            wait_for_end(stream);
        })
    }

    /// Takes connections and never says a word.
    pub fn silent() -> Self {
        Self::serving(wait_for_end)
    }

    /// Hangs up on the first bytes.
    pub fn hanging_up() -> Self {
        Self::serving(|mut stream| {
            let _ = stream.read(&mut [0; 1024]);
        })
    }

    fn serving(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self { port }
    }
}

fn wait_for_end(mut stream: TcpStream) {
    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
}
