"""The console: the content of its pages without a browser, and the pages in a real Chromium."""
