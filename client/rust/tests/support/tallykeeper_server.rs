//! A Tallykeeper server for the tests: they start it, or `TALLYKEEPER_TEST_SERVER` names it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Returns the program that starts a server; `None` after it has said that there is none.
pub fn program() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/tallykeeper");
    let program = std::env::var_os("TALLYKEEPER_PROGRAM").map_or(beside, PathBuf::from);
    if program.exists() {
        return Some(program);
    }
    eprintln!(
        "skipped: there is no {}; run make setup, or set TALLYKEEPER_PROGRAM",
        program.display()
    );
    None
}

/// A server that tests share: it runs for as long as one of them holds it.
pub struct Shared {
    pub address: String,
    _server: Option<Arc<Server>>,
}

/// Returns the server that tests share; `None` after it has said that there is none.
pub fn shared() -> Option<Shared> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    if let Ok(address) = std::env::var("TALLYKEEPER_TEST_SERVER") {
        return Some(Shared { address, _server: None });
    }
    let program = program()?;
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let server = running.upgrade().unwrap_or_else(|| Arc::new(Server::start(&program)));
    *running = Arc::downgrade(&server);
    Some(Shared {
        address: server.address.clone(),
        _server: Some(server),
    })
}

/// A server process, which is stopped when this value is dropped.
pub struct Server {
    pub address: String,
    program: PathBuf,
    data: PathBuf,
    process: Child,
}

impl Server {
    pub fn start(program: &Path) -> Server {
        let data = std::env::temp_dir().join(format!("tallykeeper-{}", tallykeeper::new_request_id()));
        let (process, address) = serve(program, &data, "127.0.0.1:0");
        Server {
            address,
            program: program.to_owned(),
            data,
            process,
        }
    }

    /// Kills the server, as a power cut does.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the server again after it was killed, with its data and its address.
    pub fn restart(&mut self) {
        (self.process, self.address) = serve(&self.program, &self.data, &self.address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let process_id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &process_id]).status();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Starts a server, and returns its process and address once it serves.
fn serve(program: &Path, data: &Path, listen: &str) -> (Child, String) {
    let mut process = Command::new(program)
        .args([
            "serve",
            "--http-listen",
            "",
            "--workers",
            "1",
            "--log-format",
            "json",
            "--listen",
            listen,
        ])
        .arg("--data-dir")
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut log = String::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line.contains("\"event\": \"serving\"") {
            let (_, rest) = line.split_once("\"listen\": \"").unwrap();
            let address = rest.split('"').next().unwrap().to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return (process, address);
        }
        log.push_str(&line);
        log.push('\n');
    }
    let status = process.wait();
    panic!("the server did not start: {status:?}\n{log}");
}
