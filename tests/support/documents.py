"""Measured figures in Markdown: tables, and the place of a page that a tool writes them to."""


def markdown_row(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def markdown_table(head, rows):
    return "\n".join([markdown_row(head), "|" + "---|" * len(head), *map(markdown_row, rows)])


def write_between_markers(path, name, text):
    """Replaces what stands between the two marker lines `<!-- name -->` and `<!-- end of name -->` of a document."""
    document = path.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{path} has no lines '{begin}' and '{end}'")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
