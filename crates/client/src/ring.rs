//! The system's keyring, where there is one and this crate was built to use it.

#[cfg(feature = "keyring")]
pub use real::{delete, get, put};

#[cfg(feature = "keyring")]
mod real {
    use std::time::Duration;

    const SERVICE: &str = "countersign";

    /// A locked keyring asks the person to unlock it, and where nobody can see that it asks for ever.
    /// After this long the file has to do.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Whether it took it.
    pub fn put(server: String, text: String) -> bool {
        patiently(move || entry(&server)?.set_password(&text)).is_some()
    }

    pub fn get(server: String) -> Option<String> {
        patiently(move || entry(&server)?.get_password())
    }

    /// Not there, or no keyring at all: either way it holds nothing of ours afterwards.
    pub fn delete(server: String) {
        let _deleted: Option<()> = patiently(move || entry(&server)?.delete_credential());
    }

    fn patiently<T: Send + 'static>(work: impl FnOnce() -> keyring::Result<T> + Send + 'static) -> Option<T> {
        let (answer, answered) = std::sync::mpsc::channel();
        // The thread is left behind if it hangs; it ends with the process.
        std::thread::spawn(move || drop(answer.send(work())));
        answered.recv_timeout(PATIENCE).ok()?.ok()
    }

    fn entry(server: &str) -> keyring::Result<keyring::Entry> {
        keyring::Entry::new(SERVICE, server)
    }
}

#[cfg(not(feature = "keyring"))]
mod none {
    pub fn put(_: String, _: String) -> bool {
        false
    }

    pub fn get(_: String) -> Option<String> {
        None
    }

    pub fn delete(_: String) {}
}

#[cfg(not(feature = "keyring"))]
pub use none::{delete, get, put};
