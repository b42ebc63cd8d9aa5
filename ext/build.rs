//! Passes on what rb-sys knows of the Ruby it builds for; on macOS, that undefined symbols resolve when Ruby loads the library.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rb_sys_env::activate()?;
    Ok(())
}
