//! Whoever listens where keadm wants to listen, or where it takes cloudcore to be.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pki::{Authority, LeafProfile, San, Usage};

use crate::host::Host;
use crate::wait::until;

/// A program on the host that listens on a port and does nothing.
pub struct Occupant<'a> {
    host: &'a Host,
    program: Child,
}

impl<'a> Occupant<'a> {
    /// Process names hold 15 characters.
    const NAME: &'static str = "systemd-socket-";

    pub fn new(host: &'a Host, port: u16) -> Self {
        let listen = format!("--listen={port}");
        let program = host
            .command(&["/usr/bin/systemd-socket-activate", &listen, "/usr/bin/true"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsenter is installed");
        until("the port is taken", Duration::from_secs(5), || {
            let table = host.run(&["/usr/bin/cat", "/proc/net/tcp6", "/proc/net/tcp"]).out;
            if table.contains(&format!(":{port:04X} ")) { Ok(()) } else { Err("nobody listens".to_owned()) }
        });
        Self { host, program }
    }
}

impl Drop for Occupant<'_> {
    fn drop(&mut self) {
        self.host.kill(Self::NAME);
        let _ = self.program.wait();
    }
}

/// Answers every connection in its own way until the test ends; returns the port.
pub fn serve(address: &str, answer: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("the machine is on the site's network");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    port
}

/// An HTTPS server that knows nothing of KubeEdge.
pub fn serve_web(address: &str) -> u16 {
    let now = Timestamp::now();
    let authority = Authority::generate("Example CA", 1, 10, now).expect("a CA");
    let profile = LeafProfile {
        common_name: "www".to_owned(),
        organizations: Vec::new(),
        days: 1,
        usages: vec![Usage::ServerAuth],
        sans: vec![San::Ip(address.parse().expect("an address"))],
    };
    let identity = authority.issue(&profile, now).expect("a certificate");
    let tls = pki::tls::server_config_optional_client(&identity).expect("TLS settings");
    serve(address, move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&tls)).expect("TLS settings");
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>\n");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}
