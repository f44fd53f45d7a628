//! A small HTTP server for tests, plain or over TLS: one thread, one connection at a time, answers in order.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

const KEY: &[u8] = include_bytes!("testdata/server.key");

/// What the server does with one request.
pub(super) enum Answer {
    /// Sends this and keeps the connection.
    Keep(Vec<u8>),
    /// Sends this and closes the connection.
    Close(Vec<u8>),
    /// Sends this and then a byte every few milliseconds, for ever.
    Drip(Vec<u8>),
}

impl Answer {
    pub(super) fn text(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Keep(
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes(),
        )
    }
}

/// The server, until it is dropped.
pub(super) struct Server {
    pub(super) port: u16,
    events: Receiver<Event>,
    _stop: Sender<()>,
}

enum Event {
    Connected,
    Request(String),
}

impl Server {
    pub(super) fn plain(answers: Vec<Answer>) -> Self {
        Self::start(None, answers)
    }

    /// Over TLS, with this certificate.
    pub(super) fn tls(certificate: &[u8], answers: Vec<Answer>) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
            .unwrap();
        Self::start(Some(Arc::new(config)), answers)
    }

    fn start(tls: Option<Arc<ServerConfig>>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (event, events) = channel();
        let (stop, stopped) = channel();
        thread::spawn(move || {
            let mut answers = VecDeque::from(answers);
            while let Ok((stream, _)) = listener.accept() {
                // Nobody listens any more when a test is over.
                let _ = event.send(Event::Connected);
                let _ = match &tls {
                    None => converse(stream, &mut answers, &event, &stopped),
                    Some(config) => {
                        let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                        converse(StreamOwned::new(tls, stream), &mut answers, &event, &stopped)
                    }
                };
            }
        });
        Self { port, events, _stop: stop }
    }

    /// Connections so far, and the requests in their order.
    pub(super) fn seen(&self) -> (usize, Vec<String>) {
        let mut connections = 0;
        let mut requests = Vec::new();
        for event in self.events.try_iter() {
            match event {
                Event::Connected => connections += 1,
                Event::Request(request) => requests.push(request),
            }
        }
        (connections, requests)
    }
}

fn converse<S: Read + Write>(
    mut stream: S,
    answers: &mut VecDeque<Answer>,
    event: &Sender<Event>,
    stopped: &Receiver<()>,
) -> io::Result<()> {
    loop {
        let request = read_request(&mut stream)?;
        let _ = event.send(Event::Request(request));
        match answers.pop_front() {
            Some(Answer::Keep(bytes)) => stream.write_all(&bytes)?,
            Some(Answer::Close(bytes)) => return stream.write_all(&bytes),
            Some(Answer::Drip(bytes)) => {
                stream.write_all(&bytes)?;
                while stopped.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
                    stream.write_all(b" ")?;
                    stream.flush()?;
                }
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

fn read_request(stream: &mut impl Read) -> io::Result<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(head + std::str::from_utf8(&body).unwrap())
}

/// An address of this machine where nobody listens.
pub(super) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    port
}
