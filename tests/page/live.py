"""Serves a live page to the distribution's Chromium, as a daemon does. The one argument is the directory of the pages."""

import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGES = Path(sys.argv[1]).resolve()
EVENTS = queue.Queue()
STATE = {"part": "fresh.part", "up": True, "loads": 0}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def give(self, name):
        body = (PAGES / name).read_bytes()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if not STATE["up"]:
            self.send_error(503)
        elif self.path == "/":
            STATE["loads"] += 1
            self.give("live.html")
        elif self.path == "/?fragment":
            self.give(STATE["part"])
        elif self.path == "/api/v1/events":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"retry: 200\n\n")
            while (event := EVENTS.get()) is not None:
                self.wfile.write(f"event: {event}\ndata: {{}}\n\n".encode())
                self.wfile.flush()
            self.close_connection = True
        else:
            self.send_error(404)


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        assert page.locator("h1").inner_text().lower() == "gate all fail"
        assert not page.locator("#live").is_visible()
        assert page.locator("#i-D1\\.1 .strip rect").count() == 3
        page.locator("#i-D1\\.1 summary").click()
        page.click("[data-f=warn]")

        EVENTS.put("verdict")
        page.wait_for_function("() => document.querySelector('h1').innerText.toLowerCase() === 'gate all pass'")
        assert STATE["loads"] == 1, "it was loaded anew"
        assert page.locator("#i-D1\\.1").get_attribute("data-r") == "pass"
        assert page.locator("#i-D1\\.1 details[open]").count() == 1, "what was open stays open"
        assert not page.locator("#i-F1\\.2").is_visible(), "the filters stay"
        assert not page.locator("#live").is_visible()

        STATE["part"] = "stale.part"
        EVENTS.put("verdict")
        page.wait_for_function("() => document.getElementById('live').textContent.startsWith('Stale')")

        STATE.update(part="fresh.part", up=False)
        EVENTS.put(None)
        page.wait_for_function("() => document.getElementById('live').textContent.startsWith('Disconnected')")
        assert page.locator("#live").is_visible()

        assert not wrong, wrong
        browser.close()
    print("all as it should be")


main()
