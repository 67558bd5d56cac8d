"""Reports to look at: one HTML file without a server and without the network.

`of_test`, `of_reach` and `of_diff` turn JSON documents of the commands into a `Report`, and `document` turns that into
HTML. Everything is pure but `file`, which writes the file.
"""
