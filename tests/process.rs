//! The program in a process of its own, as whoever runs an installation starts it.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::house::House;

/// The program; it is killed when this is dropped.
pub struct Process(Child);

impl Process {
    /// Starts it on a house's database, with its things in a folder.
    pub fn start(house: &House, data: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.args(arguments).args(["--database-url", &house.database_url, "--data"]).arg(data);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// Ends it as whoever runs it would.
    pub fn end(mut self) {
        self.signal("-TERM");
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL. It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
