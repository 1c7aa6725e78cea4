//! Child processes that end with the test.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long a server may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that is killed when dropped, and by the kernel if the test process dies first.
pub struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts `program args…` with `dir` as working directory and `dir/NAME.log` as its output.
    pub fn start(dir: &Path, name: &str, program: &str, args: &[&str]) -> Self {
        Self::start_path(dir, name, &require(program), args)
    }

    /// The same for a program by its path, or by a name that the system finds.
    pub fn start_path(dir: &Path, name: &str, program: &Path, args: &[&str]) -> Self {
        let log = dir.join(format!("{name}.log"));
        let output = std::fs::File::create(&log).expect("create the server's log");
        let errors = output.try_clone().expect("share the server's log");
        // setpriv asks the kernel to kill the child with its parent thread's process.
        let child = Command::new(require("setpriv"))
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(args)
            .current_dir(dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        Self {
            child,
            name: name.to_owned(),
            log,
        }
    }

    /// The same for a server that tests share: the kernel kills a child with the thread that has
    /// started it, and a test's thread ends with its test. This one stays.
    pub fn start_lasting(dir: &Path, name: &str, program: &str, args: &[&str]) -> Self {
        let (send, started) = std::sync::mpsc::channel();
        let (dir, name, program) = (dir.to_owned(), name.to_owned(), program.to_owned());
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        std::thread::spawn(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            send.send(Self::start(&dir, &name, &program, &args)).ok();
            loop {
                std::thread::park();
            }
        });
        started.recv().expect("start a server")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGINT), as servers with children of their own need it, and waits 10 s.
    pub fn interrupt(self) {
        self.signal("INT");
        self.wait(Duration::from_secs(10));
    }

    /// Sends it a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        kill.expect("run kill");
    }

    /// Waits until it has ended, but not for ever; then it is killed.
    pub fn wait(mut self, longest: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < longest {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its TCP port accepts; panics with its log when it does not within 20 s.
    pub fn wait_for(&mut self, port: u16) {
        self.wait_for_address(([127, 0, 0, 1], port).into());
    }

    /// The same for any address.
    pub fn wait_for_address(&mut self, address: SocketAddr) {
        self.wait_until(&format!("listen on {address}"), PATIENCE, |_| {
            TcpStream::connect(address).is_ok()
        });
    }

    /// Waits until it has printed `text`; panics with its log when it has not within 20 s.
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for_log_within(text, PATIENCE);
    }

    /// The same with more patience, for servers that take long to start.
    pub fn wait_for_log_within(&mut self, text: &str, patience: Duration) {
        self.wait_until(&format!("print {text:?}"), patience, |server| {
            server.log().contains(text)
        });
    }

    fn wait_until(&mut self, what: &str, patience: Duration, ready: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !ready(self) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status}:\n{}", self.name, self.log());
            }
            assert!(
                begun.elapsed() < patience,
                "{} does not {what}:\n{}",
                self.name,
                self.log()
            );
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The whole group: a server that forks workers must not leave them behind.
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process_group(group, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

/// A port that was free a moment ago, on 127.0.0.1. It lies below the ephemeral range, so that no
/// outgoing connection of a test running beside takes it meanwhile.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (std::process::id() % 97) as u16 * 100;
    loop {
        let port = 15_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 15_000;
        let udp = std::net::UdpSocket::bind(("127.0.0.1", port));
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && udp.is_ok() {
            return port;
        }
    }
}

/// The path of a program that a test needs. A missing one is an error, never a skip.
pub fn require(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("`{program}` is not installed: run ./test, which installs what the tests need")
        })
}
