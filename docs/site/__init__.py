"""Documentation site: the Markdown pages of this repository as HTML that needs no network.

`python -m docs.site` builds it. `sources` says which pages there are, `navigation` reads their order from
`docs/README.md`, `links` leads every link to a page of the site, `listings` shows linked files as pages, and `build`
runs MkDocs over the result. Nothing of a page is changed but its links, and the pipes in code of its tables.
"""
