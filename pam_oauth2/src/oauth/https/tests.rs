use super::super::http::{BODY_LIMIT, Basic, Endpoint};
use super::test_server::{Answer, Server, closed_port};
use super::*;
use shared::types::Secret;
use std::io::{BufRead, Write};
use std::process::Command;
use std::time::Instant;

const CA: &[u8] = include_bytes!("testdata/ca.pem");
const OTHER_CA: &[u8] = include_bytes!("testdata/other_ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("testdata/server.pem");
const EXPIRED: &[u8] = include_bytes!("testdata/expired.pem");

fn connector(roots: &[u8]) -> HttpsConnector {
    HttpsConnector {
        roots: Roots::Pem(roots.to_vec()),
        timeout: Duration::from_secs(10),
        proxy: None,
        limit_lookups: |_| (),
    }
}

fn get(url: &str) -> Request {
    Request::get(Endpoint::parse(url).unwrap(), BODY_LIMIT)
}

fn ask(connector: &HttpsConnector, url: &str) -> Result<Response, HttpError> {
    connector.connect().unwrap().send(&get(url))
}

fn hello() -> Vec<Answer> {
    vec![Answer::text("200 OK", "", "{\"hello\":1}")]
}

fn tls_url(server: &Server) -> String {
    format!("https://localhost:{}/path", server.port)
}

fn plain_url(server: &Server) -> String {
    format!("http://127.0.0.1:{}/path", server.port)
}

#[test]
fn requests_of_one_step_share_a_connection_and_say_what_was_asked() {
    let server = Server::tls(
        CERTIFICATE,
        vec![
            Answer::text("200 OK", "", "1"),
            Answer::text("401 No", "", "{}"),
            Answer::text("200 OK", "", "2"),
        ],
    );
    let connector = connector(CA);
    let http = connector.connect().unwrap();
    let fields = vec![("device_code", Secret::new("a b&c=\u{e9}".to_owned()))];
    let basic = Basic { client_id: "cli:ent".to_owned(), secret: Secret::new("pass".to_owned()) };
    let url = Endpoint::parse(&tls_url(&server)).unwrap();
    assert_eq!(http.send(&Request::get(url.clone(), 10)).unwrap().json(), Some(1));
    assert_eq!(http.send(&Request::post(url, fields, Some(basic))).unwrap().status(), 401);
    let url = Endpoint::parse(&tls_url(&server)).unwrap();
    assert_eq!(http.send(&Request::get_as(url, Secret::new("tok.en".to_owned()))).unwrap().json(), Some(2));
    let (connections, requests) = server.seen();
    assert_eq!(connections, 1);
    assert!(requests[2].contains("authorization: Bearer tok.en\r\n"), "{}", requests[2]);
    assert!(requests[0].starts_with("GET /path HTTP/1.1\r\n"), "{}", requests[0]);
    for line in [
        "POST /path HTTP/1.1\r\n",
        "authorization: Basic Y2xpJTNBZW50OnBhc3M=\r\n",
        "accept: application/json\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "user-agent: pam_oauth2_device/",
        "\r\n\r\ndevice_code=a+b%26c%3D%C3%A9",
    ] {
        assert!(requests[1].contains(line), "{line} in {}", requests[1]);
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_another_name_or_another_time_is_never_accepted() {
    let server = Server::tls(CERTIFICATE, hello());
    let by_address = format!("https://127.0.0.1:{}/", server.port);
    let expired = Server::tls(EXPIRED, hello());
    for (roots, url, reason) in [
        (OTHER_CA, tls_url(&server), "UnknownIssuer"),
        (CA, by_address, "not valid for name"),
        (CA, tls_url(&expired), "expired"),
    ] {
        match ask(&connector(roots), &url) {
            Err(HttpError::Certificate { reason: given, .. }) => assert!(given.contains(reason), "{given}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    assert!(server.seen().1.is_empty() && expired.seen().1.is_empty(), "nothing was sent");
}

#[test]
fn a_server_that_speaks_no_tls_is_a_lasting_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 512]);
    });
    let error = ask(&connector(CA), &format!("https://localhost:{port}/")).unwrap_err();
    assert!(matches!(error, HttpError::Protocol { fault: ProtocolFault::Tls(_), .. }), "{error:?}");
    thread.join().unwrap();
}

#[test]
fn a_redirect_is_never_followed() {
    let server =
        Server::plain(vec![Answer::text("307 Moved", "Location: /elsewhere\r\n", ""), hello().remove(0)]);
    let response = ask(&connector(CA), &plain_url(&server)).unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(server.seen().1.len(), 1);
}

#[test]
fn an_answer_is_never_read_beyond_its_limit() {
    let big = "x".repeat(BODY_LIMIT + 1);
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
    let endless =
        b"HTTP/1.1 200 OK\r\n\r\n".iter().chain(vec![b'x'; 4 * BODY_LIMIT].iter()).copied().collect();
    let answers =
        vec![Answer::text("200 OK", "", &big), Answer::Close(chunked.into_bytes()), Answer::Close(endless)];
    let server = Server::plain(answers);
    for _ in 0..3 {
        let error = ask(&connector(CA), &plain_url(&server)).unwrap_err();
        assert!(
            matches!(error, HttpError::Protocol { fault: ProtocolFault::TooLarge(BODY_LIMIT), .. }),
            "{error:?}"
        );
    }
    let server = Server::plain(vec![Answer::text("200 OK", "", &"1".repeat(BODY_LIMIT))]);
    assert!(ask(&connector(CA), &plain_url(&server)).is_ok());
}

#[test]
fn a_server_that_keeps_us_waiting_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
    let short = HttpsConnector { timeout: Duration::from_millis(300), ..connector(CA) };
    let in_the_head = b"HTTP/1.1 200 OK\r\nX-Endless: ".to_vec();
    for answer in [Answer::Drip(in_the_head.clone()), Answer::Drip(head)] {
        let server = Server::plain(vec![answer]);
        let before = Instant::now();
        let error = ask(&short, &plain_url(&server)).unwrap_err();
        assert!(matches!(error, HttpError::Unreachable { fault: Outage::Time, .. }), "{error:?}");
        assert!(before.elapsed() < Duration::from_secs(5), "the time is that of the whole answer");
    }
    let server = Server::plain(vec![Answer::Drip(in_the_head)]);
    let request = get(&plain_url(&server)).within(Some(Duration::from_millis(300)));
    let error = connector(CA).connect().unwrap().send(&request).unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { fault: Outage::Time, .. }), "{error:?}");
}

#[test]
fn an_outage_is_told_from_a_lasting_fault() {
    let fault = |url: &str| match ask(&connector(CA), url) {
        Err(HttpError::Unreachable { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(&format!("https://localhost:{}/", closed_port())), Outage::Connection);
    let silent = Server::plain(vec![Answer::Close(Vec::new())]);
    assert_eq!(fault(&plain_url(&silent)), Outage::Broken);
    let torn =
        Server::plain(vec![Answer::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf".to_vec())]);
    assert_eq!(fault(&plain_url(&torn)), Outage::Broken);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || drop(listener.accept().unwrap()));
    assert_eq!(fault(&format!("https://localhost:{port}/")), Outage::Connection, "reset in the handshake");
    thread.join().unwrap();
}

#[test]
fn retry_after_is_taken_in_seconds_only() {
    for (header, expected) in [
        ("Retry-After: 7\r\n", Some(7)),
        ("Retry-After: 999999\r\n", Some(60)),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\n", None),
    ] {
        let server = Server::plain(vec![Answer::text("429 Busy", header, "")]);
        let response = ask(&connector(CA), &plain_url(&server)).unwrap();
        match response.settle("host") {
            Err(HttpError::Unreachable { retry_after, .. }) => {
                assert_eq!(retry_after.map(|wait| wait.as_secs()), expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_configured_proxy_is_used_for_https_and_for_nothing_else() {
    let proxy = Server::plain(vec![Answer::text("502 No", "", "")]);
    let server = Server::plain(hello());
    let through = HttpsConnector { proxy: Some(format!("http://127.0.0.1:{}", proxy.port)), ..connector(CA) };
    assert!(ask(&through, &plain_url(&server)).is_ok());
    assert!(proxy.seen().1.is_empty());
    let error = ask(&through, "https://id.example.invalid/").unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { fault: Outage::Connection, .. }), "{error:?}");
    assert!(proxy.seen().1[0].starts_with("CONNECT id.example.invalid:443 "));
    let nonsense = HttpsConnector { proxy: Some("http://".to_owned()), ..connector(CA) };
    assert!(matches!(nonsense.connect(), Err(HttpError::Client(_))));
}

/// A proxy that lets one connection through to a port of this machine, and then tells the line that asked for it.
fn tunnel(to: u16) -> (u16, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut client = std::io::BufReader::new(listener.accept().unwrap().0);
        let head: Vec<_> =
            client.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        let server = std::net::TcpStream::connect(("127.0.0.1", to)).unwrap();
        client.get_mut().write_all(b"HTTP/1.1 200 Go\r\n\r\n").unwrap();
        let (mut from_server, mut to_client) =
            (server.try_clone().unwrap(), client.get_ref().try_clone().unwrap());
        let back = std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
        let _ = std::io::copy(&mut client, &mut &server);
        let _ = server.shutdown(std::net::Shutdown::Both);
        let _ = back.join();
        head.join("\n")
    });
    (port, thread)
}

#[test]
fn through_a_proxy_it_is_still_the_provider_whose_certificate_counts() {
    let server = Server::tls(CERTIFICATE, hello());
    let (port, proxy) = tunnel(server.port);
    let through =
        |ca, port| HttpsConnector { proxy: Some(format!("http://127.0.0.1:{port}")), ..connector(ca) };
    assert!(ask(&through(CA, port), &tls_url(&server)).is_ok());
    let head = proxy.join().unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\n", server.port)), "{head}");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
    let (port, proxy) = tunnel(server.port);
    let error = ask(&through(OTHER_CA, port), &tls_url(&server)).unwrap_err();
    assert!(matches!(error, HttpError::Certificate { .. }), "{error:?}");
    proxy.join().unwrap();
}

#[test]
fn a_proxy_that_speaks_tls_must_show_a_certificate_that_is_trusted() {
    let ask_through = |ca| {
        let proxy = Server::tls(CERTIFICATE, vec![Answer::text("502 No", "", "")]);
        let proxied =
            HttpsConnector { proxy: Some(format!("https://localhost:{}", proxy.port)), ..connector(ca) };
        (ask(&proxied, "https://id.example.invalid/").unwrap_err(), proxy.seen().1)
    };
    let (_, seen) = ask_through(CA);
    assert!(seen[0].starts_with("CONNECT id.example.invalid:443 "), "{seen:?}");
    let (error, seen) = ask_through(OTHER_CA);
    assert!(matches!(error, HttpError::Certificate { .. }) && seen.is_empty(), "{error:?} {seen:?}");
}

#[test]
fn without_trust_roots_there_is_no_client() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        HttpsConnector { roots: Roots::File(path), ..connector(CA) }
    };
    let missing = HttpsConnector { roots: Roots::File(directory.path().join("missing")), ..connector(CA) };
    assert!(matches!(missing.connect(), Err(HttpError::Roots { path, .. }) if path.ends_with("missing")));
    assert!(matches!(file("empty", b"").connect(), Err(HttpError::NoRoots)));
    assert!(matches!(
        file("garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").connect(),
        Err(HttpError::NoRoots)
    ));
}

#[test]
fn one_odd_certificate_does_not_make_the_others_useless() {
    let odd = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n# a comment\n";
    let server = Server::tls(CERTIFICATE, hello());
    assert!(ask(&connector(&[odd, CA].concat()), &tls_url(&server)).is_ok());
}

/// Runs the body alone in a process of its own, with this environment and no other.
fn alone(name: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    const CHILD: &str = "PAM_OAUTH2_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let path = module_path!().split_once("::").unwrap().1;
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{path}::{name}"), "--test-threads=1", "--nocapture"])
        .env_clear()
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[test]
fn nothing_from_the_environment_decides_whom_to_trust_or_where_to_go() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, CA).unwrap();
    let proxy = format!("http://127.0.0.1:{}", closed_port());
    let (ca, directory) = (ca.to_str().unwrap(), directory.path().to_str().unwrap());
    let environment = [
        ("SSL_CERT_FILE", ca),
        ("SSL_CERT_DIR", directory),
        ("HTTPS_PROXY", &proxy),
        ("https_proxy", &proxy),
        ("ALL_PROXY", &proxy),
        ("HTTP_PROXY", &proxy),
        ("http_proxy", &proxy),
    ];
    alone("nothing_from_the_environment_decides_whom_to_trust_or_where_to_go", &environment, || {
        let server =
            Server::tls(CERTIFICATE, vec![Answer::text("200 OK", "", "1"), Answer::text("200 OK", "", "1")]);
        let error = ask(&connector(OTHER_CA), &tls_url(&server)).unwrap_err();
        assert!(matches!(error, HttpError::Certificate { .. }), "{error:?}");
        assert!(ask(&connector(CA), &tls_url(&server)).is_ok());
        // What the environment does to a client that is not told better, so that this test tests something.
        assert!(Client::new().get(tls_url(&server)).send().unwrap_err().is_connect(), "by the proxy");
        assert!(
            Client::builder().no_proxy().build().unwrap().get(tls_url(&server)).send().is_ok(),
            "by SSL_CERT_FILE"
        );
    });
}

/// Waits until a directory of /proc has so many entries: the kernel takes a moment to forget a thread that was joined, and
/// the server to see the end of a connection.
fn settles(directory: &str, entries: usize) {
    let before = Instant::now();
    while count(directory) != entries {
        assert!(
            before.elapsed() < Duration::from_secs(10),
            "{directory}: {} entries, not {entries}",
            count(directory)
        );
        std::thread::yield_now();
    }
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn no_thread_and_no_descriptor_outlives_a_client() {
    alone("no_thread_and_no_descriptor_outlives_a_client", &[], || {
        let server = Server::tls(CERTIFICATE, (0..10).map(|_| Answer::text("200 OK", "", "1")).collect());
        let url = tls_url(&server);
        let (threads, descriptors) = (count("/proc/self/task"), count("/proc/self/fd"));
        for _ in 0..10 {
            let connector = connector(CA);
            let http = connector.connect().unwrap();
            http.send(&get(&url)).unwrap();
            assert!(count("/proc/self/task") > threads && count("/proc/self/fd") > descriptors);
            drop(http);
            settles("/proc/self/task", threads);
            settles("/proc/self/fd", descriptors);
        }
    });
}
