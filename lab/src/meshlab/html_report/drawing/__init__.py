"""A mesh as a drawing: nodes and edges, where they are placed, and the SVG and the sentences that show them."""
