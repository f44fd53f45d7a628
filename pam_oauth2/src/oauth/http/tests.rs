use super::*;

#[test]
fn only_https_and_loopback_may_be_asked() {
    for url in [
        "https://id.example.com/token",
        "https://id.example.com:8443/token?p=policy",
        "https://192.0.2.1/",
        "http://localhost:8080/",
        "http://127.0.0.1/",
        "http://127.9.9.9/",
        "http://[::1]:80/",
    ] {
        assert!(Endpoint::parse(url).is_ok(), "{url}");
    }
    for (url, fault) in [
        ("", UrlFault::Syntax),
        ("/token", UrlFault::Syntax),
        ("id.example.com/token", UrlFault::Syntax),
        ("https://", UrlFault::Syntax),
        ("http://id.example.com/", UrlFault::Scheme),
        ("http://localhost.example.com/", UrlFault::Scheme),
        ("http://127.0.0.1.example.com/", UrlFault::Scheme),
        ("http://localhost@example.com/", UrlFault::Scheme),
        ("http://[::ffff:192.0.2.1]/", UrlFault::Scheme),
        ("http://0.0.0.0/", UrlFault::Scheme),
        ("file:///etc/passwd", UrlFault::Scheme),
        ("javascript:alert(1)", UrlFault::Scheme),
        ("https://user@example.com/", UrlFault::Userinfo),
        ("https://:password@example.com/", UrlFault::Userinfo),
        ("https://example.com/#fragment", UrlFault::Fragment),
    ] {
        assert_eq!(Endpoint::parse(url).err(), Some(fault), "{url}");
    }
}

#[test]
fn an_origin_is_scheme_host_and_unusual_port() {
    let origin = |url| Endpoint::parse(url).unwrap().origin();
    assert_eq!(origin("https://id.example.com/realms/x/token"), "https://id.example.com");
    assert_eq!(origin("https://id.example.com:443/"), "https://id.example.com");
    assert_eq!(origin("https://ID.example.com:8443/"), "https://id.example.com:8443");
}

#[test]
fn requests_and_answers_never_print_what_they_carry() {
    let url = Endpoint::parse("https://id.example.com/").unwrap();
    let basic = Basic { client_id: "client".to_owned(), secret: Secret::new("hunter2".to_owned()) };
    let fields = vec![("device_code", Secret::new("hunter2".to_owned()))];
    let request = Request::post(url, fields, Some(basic));
    let response = Response::new(200, b"hunter2".to_vec());
    let text = format!("{request:?} {:?} {response:?}", request.basic());
    assert!(
        text.contains("device_code") && !text.contains("hunter2") && !text.contains("104, 117"),
        "{text}"
    );
}

#[test]
fn busy_servers_and_redirects_are_sorted_out() {
    let settle = |status| Response::new(status, Vec::new()).settle("host");
    for status in [200, 204, 400, 401, 403, 404] {
        assert!(settle(status).is_ok(), "{status}");
    }
    for status in [408, 429, 500, 502, 503, 504, 599] {
        assert!(
            matches!(settle(status), Err(HttpError::Unreachable { fault: Outage::Status(s), .. }) if s == status)
        );
    }
    for status in [301, 302, 303, 307, 308] {
        assert!(matches!(settle(status), Err(HttpError::Protocol { .. })), "{status}");
    }
}

#[test]
fn a_certificates_own_words_are_printable_and_short() {
    let text = HttpError::certificate("host", &format!("\u{1b}[31m{}", "x".repeat(1000))).to_string();
    assert!(!text.contains('\u{1b}') && text.len() < 300);
}

#[test]
fn an_answer_that_is_not_utf_8_is_no_json_even_where_nobody_looks() {
    let read = |body: &[u8]| Response::new(200, body.to_vec()).json::<Wanted>().is_some();
    #[derive(serde::Deserialize)]
    struct Wanted {
        #[expect(dead_code, reason = "only whether it parses is asked")]
        a: u8,
    }
    assert!(read(b"{\"a\": 1, \"b\": \"x\"}"));
    assert!(!read(b"{\"a\": 1, \"b\": \"\xff\"}"));
}
