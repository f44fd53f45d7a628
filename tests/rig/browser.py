"""A pretend browser for the test identity provider, and a client for its control port.

The browser does what a person does: it opens the page the device shows, types the code, signs in,
and presses the buttons, by reading the HTML and submitting its forms. Standard library only.
"""

import http.client
import http.cookiejar
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser

TIMEOUT = 10  # seconds for one request
MAX_PAGES = 10  # a whole sign-in has five
USER_AGENT = "test-browser"


class BrowserError(Exception):
    """The provider showed something else than the next step of a sign-in."""


class Browser:
    """resolve maps host names to addresses, so that idp.test needs no line in /etc/hosts."""

    def __init__(self, ca_file, resolve=None):
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._resolve = dict(resolve or {})

    def approve(self, verification_uri, user_code, login, password="any"):
        """Signs in as login and allows the device. Either verification URI will do."""
        self._walk(verification_uri, _Approval(user_code, login, password))

    def deny(self, verification_uri, user_code, login=None):
        """Presses cancel where the code is confirmed or, given a login, refuses after signing in."""
        self._walk(verification_uri, _Denial(user_code, login))

    def _walk(self, uri, person):
        """Every walk is a new private window: no session of an earlier one is left."""
        opener = self._opener()
        page = _fetch(opener, uri)
        for _ in range(MAX_PAGES):
            if person.is_satisfied(page):
                return
            page = _fetch(opener, *person.next_request(page))
        raise BrowserError(f"still no end after {MAX_PAGES} pages: {page.summary()}")

    def _opener(self):
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            HttpsHandler(self._tls, self._resolve),
        )


class _Approval:
    def __init__(self, user_code, login, password):
        self._user_code = user_code
        self._credentials = {"login": login, "password": password}

    def is_satisfied(self, page):
        return page.step == "done"

    def next_request(self, page):
        """The page's form, filled in: (address, fields)."""
        form = page.form()
        if page.alert:
            raise BrowserError(f"the provider said: {page.alert}")
        if page.step == "enter-code":
            return form.submit(user_code=self._user_code)
        if page.step == "confirm":
            self._compare_code(page)
            return self.answer_confirm(form)
        if page.step == "login":
            return form.submit(**self._credentials)
        if page.step == "consent":
            return self.answer_consent(form)
        if page.step is None and "user_code" in form.fields:
            # The page behind verification_uri_complete submits itself by JavaScript.
            return form.submit()
        raise BrowserError(f"unexpected page: {page.summary()}")

    def answer_confirm(self, form):
        return form.submit()

    def answer_consent(self, form):
        return form.submit()

    def _compare_code(self, page):
        if page.code != self._user_code:
            raise BrowserError(f"the page shows code {page.code!r}, the device {self._user_code!r}")


class _Denial(_Approval):
    def __init__(self, user_code, login):
        super().__init__(user_code, login, "any")
        self._signs_in = login is not None

    def is_satisfied(self, page):
        return page.alert is not None and page.alert.startswith("AbortedError")

    def answer_confirm(self, form):
        return form.submit() if self._signs_in else form.submit(abort="yes")

    def answer_consent(self, form):
        return form.submit(abort="yes")


class _Form:
    def __init__(self, action):
        self.action = action
        self.fields = {}

    def submit(self, **values):
        return self.action, {**self.fields, **values}


class _Page(HTMLParser):
    """What a person would see of a page: the step, the code, an alert, the form."""

    def __init__(self, url, text):
        super().__init__()
        self.url = url
        self.step = None
        self.code = None
        self.alert = None
        self.heading = None
        self._form = None
        self._reading = None
        self.feed(text)

    def form(self):
        if self._form is None:
            raise BrowserError(f"no form on the page: {self.summary()}")
        return self._form

    def summary(self):
        return f"{urllib.parse.urlsplit(self.url).path} {self.heading!r} {self.alert or ''}".rstrip()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "main":
            self.step = attrs.get("id")
        elif tag == "form":
            self._form = _Form(urllib.parse.urljoin(self.url, attrs.get("action", "")))
        elif tag == "input" and self._form is not None:
            self._form.fields[attrs["name"]] = attrs.get("value") or ""
        elif tag == "code":
            self._reading = "code"
        elif tag == "h1":
            self._reading = "heading"
        elif attrs.get("role") == "alert":
            self._reading = "alert"

    def handle_endtag(self, tag):
        if tag in ("code", "h1", "p"):
            self._reading = None

    def handle_data(self, data):
        if self._reading:
            setattr(self, self._reading, (getattr(self, self._reading) or "") + data)


class HttpsHandler(urllib.request.HTTPSHandler):
    """https with an overridden name resolution, for any urllib opener."""

    def __init__(self, tls, resolve):
        super().__init__(context=tls)
        self._tls = tls
        self._resolve = resolve

    def https_open(self, request):
        return self.do_open(self._connection, request)

    def _connection(self, host, **options):
        return _Connection(host, self._tls, self._resolve, **options)


class _Connection(http.client.HTTPSConnection):
    """Connects to the overridden address; Host, SNI and the certificate check keep the name."""

    def __init__(self, host, tls, resolve, **options):
        super().__init__(host, context=tls, **options)
        self._tls = tls
        self._resolve = resolve

    def connect(self):
        address = (self._resolve.get(self.host, self.host), self.port)
        plain = socket.create_connection(address, self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _fetch(opener, url, fields=None):
    data = None if fields is None else urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data=data, headers={"Accept": "text/html", "User-Agent": USER_AGENT})
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            return _Page(response.url, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            page = _Page(error.url, error.read().decode(errors="replace"))
        # A page with a form says what was wrong and lets the person try again.
        if page.step == "enter-code":
            return page
        raise BrowserError(f"HTTP {error.code}: {page.summary()}") from None
    except OSError as error:
        raise BrowserError(f"{url.split('?')[0]}: {error}") from error


class Control:
    """The provider's control port; faults.mjs beside the provider lists what it can break."""

    def __init__(self, url):
        self._url = url.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def reset(self):
        """Clears counters, log and faults."""
        self._ask("POST", "/reset")

    def counters(self):
        """{"tcp_connections", "tls_handshakes", "tls_failures", "requests": {path: number}}."""
        return self._ask("GET", "/counters")

    def requests(self, path):
        """How many requests for one path arrived."""
        return self.counters()["requests"].get(path, 0)

    def log(self):
        """Requests in order: [{"at_ms", "connection", "agent", "method", "path", "status"}].

        connection numbers the TLS connections that carried a request; status None is no answer yet.
        """
        return self._ask("GET", "/log")

    def machine_log(self):
        """The log without what the pretend browser did."""
        return [line for line in self.log() if line["agent"] != USER_AGENT]

    def faults(self):
        return self._ask("GET", "/faults")

    def clear_faults(self):
        self._ask("DELETE", "/faults")

    def answer(self, path, status, body=None, headers=None, count=None):
        """Requests whose path matches the regular expression get this answer instead."""
        self._add(path=path, status=status, body=body, headers=headers, count=count)

    def hang(self, path, count=None):
        self._add(hang=path, count=count)

    def drop(self, path, count=None):
        self._add(drop=path, count=count)

    def slow_down(self, count):
        self._add(slow_down=count)

    def unknown_ca(self, on=True):
        self._add(unknown_ca=on)

    def stall_tls(self, on=True):
        self._add(stall_tls=on)

    def _add(self, **fault):
        self._ask("POST", "/faults", {key: value for key, value in fault.items() if value is not None})

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"{method} {path}: {error.read().decode()}") from None
