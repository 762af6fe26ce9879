"""The page: every use in the browser.

serving.py         `serve`, the use itself
application.py     the addresses of the server
safety.py          who may send requests: hosts, origins, the token, sizes
page.py            what the views share: models, images, pictures, jobs
views/             one module per view: requests of the browser, answered by `isthmus.api`
static/            the page itself; texts/ holds all its words, a file for each language

It imports of this package only `isthmus.api` and what messages need.
"""
