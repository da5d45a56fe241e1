"""The console: a web page that shows a Tallykeeper server to people who do not want to type commands.

`command` is the command line, and `server` serves the page. `views` decides the content of each page and knows no
browser. `pages` draws it with NiceGUI, which only the extra ``console`` installs. The console is an ordinary client of
the API: it reads through `tallykeeper_client.AsyncClient`.
"""
