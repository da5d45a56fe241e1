"""The pages of the console, drawn with NiceGUI from the rows and texts of `tallykeeper_console.views`.

The function of a page is a coroutine that runs while the page is shown: it draws the page, and then reads again once a
second. NiceGUI cancels it when the browser leaves the page.
"""
