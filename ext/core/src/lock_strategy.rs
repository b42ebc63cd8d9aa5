//! How a claim is held beside the lease in its row, so that workers of GoodJob on the same tables leave it alone.

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockStrategy {
    /// By the lease alone.
    Skiplocked,
    /// Also by the job's advisory lock, which is what GoodJob's workers in `:advisory` look at.
    Hybrid,
    /// As `Hybrid`; the row then says what GoodJob writes in `:advisory`.
    Advisory,
}

impl LockStrategy {
    /// By the setting's value.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "skiplocked" => Some(Self::Skiplocked),
            "hybrid" => Some(Self::Hybrid),
            "advisory" => Some(Self::Advisory),
            _ => None,
        }
    }

    /// Whether each claim takes its job's advisory lock.
    pub fn locks_jobs(self) -> bool {
        self != Self::Skiplocked
    }

    /// `good_jobs.lock_type`.
    pub fn lock_type(self) -> i16 {
        match self {
            Self::Advisory => 0,
            Self::Skiplocked => 1,
            Self::Hybrid => 2,
        }
    }
}
