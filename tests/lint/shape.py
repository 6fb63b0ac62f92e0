#!/usr/bin/env python3
"""Reports the shape of src/: the largest files and functions, the classes with most private methods, the longest parameter lists.

A report and no gate: a figure above the mark is a question, and the answer may be that the code reads best as it is. It reads the
sources as clang-format leaves them, needs no build, and knows C++ as far as declarations go: macros are not expanded. Lambdas count
for the function that holds them, a class for itself and not for those inside it. With --self-test it proves that it counts right,
and prints no more than that.

usage: shape.py [--self-test] [--rows N] PROJECT
"""

import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

MARKS = {"files above {} lines": 300, "classes above {} private methods": 20, "functions above {} lines": 40,
         "functions above {} parameters": 5}
SUFFIXES = {".cpp", ".hpp"}
# Comments, literals and preprocessor lines hold braces that are none.
OPAQUE = re.compile(r"""//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'(?!\w)|^[ ]*\#(?:[^\n]*\\\n)*[^\n]*""",
                    re.DOTALL | re.MULTILINE)
ATTRIBUTE = re.compile(r"\[\[.*?\]\]", re.DOTALL)
ACCESS = re.compile(r"^\s*(public|protected|private)\s*:(?!:)")
SCOPE = re.compile(r"^(?:inline\s+)?(namespace|extern|class|struct|union|enum)\b(?:\s+(?:class|struct)\b)?\s*([\w:]*)")
NO_FUNCTION = {"if", "for", "while", "switch", "catch", "return", "decltype", "alignas", "static_assert", "sizeof", "noexcept", "using", "typedef"}


@dataclass
class Shape:
    files: list = field(default_factory=list)        # (lines, where)
    classes: list = field(default_factory=list)      # (private methods, where, name)
    functions: list = field(default_factory=list)    # (lines, where, name)
    parameters: list = field(default_factory=list)   # (parameters, where, name)

    def figures(self):
        return [self.files, self.classes, self.functions, self.parameters]


def blank(match):
    """The same number of lines, and nothing that looks like code. A literal stays an expression."""
    kept = re.sub(r"[^\n]", " ", match[0])
    return "0" + kept[1:] if match[0][0] in "\"'R" else kept


def closing(text, at):
    """Where the bracket that opens at `at` closes."""
    depth = 0
    for index in range(at, len(text)):
        depth += (text[index] in "({[") - (text[index] in ")}]")
        if depth == 0:
            return index
    return len(text) - 1


def split_header(header):
    """(name, parameters) of what declares a function; None for everything else."""
    header = re.sub(r"^\s*template\s*<[^{};]*?>\s*(?=[\w\[~])", "", ATTRIBUTE.sub("", header).strip())
    angle = 0
    for index, sign in enumerate(header):
        if sign == "<" and not re.search(r"operator\s*<?$", header[:index]):
            angle += 1
        elif sign == ">" and header[index - 1] not in "-" and angle > 0:
            angle -= 1
        elif sign == "=" and angle == 0 and not re.search(r"operator\s*[=!<>+\-*/|&^%]*$", header[:index]):
            return None   # a variable, or an alias
        elif sign == "(" and angle == 0:
            name = re.search(r"(operator\s*(?:\(\)|[^\w\s(]+|[\w:]+)|~?\w+)\s*$", header[:index])
            if not name or name[1] in NO_FUNCTION:
                return None
            if name[1] == "operator":   # of calls
                continue
            return name[1], header[index + 1:closing(header, index)]
    return None


def count_parameters(text):
    """Commas outside of brackets, plus one."""
    depth, count = 0, 1 if text.strip() not in ("", "void") else 0
    for index, sign in enumerate(text):
        depth += (sign in "({[<") - (sign in ")}]" or (sign == ">" and text[index - 1] != "-"))
        count += sign == "," and depth == 0
    return count


def opens_initializer(header):
    """Whether the brace behind `header` belongs to a member in a constructor's list, or to a variable."""
    if re.search(r"\)\s*(?:noexcept\s*)?:\s*[^:]", header) and re.search(r"[\w>]\s*$", header):
        return True
    return split_header(header) is None


def read(text, where, shape):
    """Adds what one file holds."""
    shape.files.append((text.count("\n"), where))
    text = OPAQUE.sub(blank, text)
    scan(text, 0, len(text), None, where, shape)


def scan(text, begin, end, owner, where, shape):
    """Declarations of one scope: a namespace, or the class `owner`, {"name", "private", "methods"}."""
    start = at = begin
    while at < end:
        sign = text[at]
        if sign == ":" and owner and (access := ACCESS.match(text[start:at + 1])):
            owner["private"] = access[1] == "private"
            start = at + 1
        elif sign in "([":
            at = closing(text, at)
        elif sign == ";":
            note(text, start, at, None, owner, (where, shape))
            start = at + 1
        elif sign == "{":
            close = closing(text, at)
            header = text[start:at]
            scope = SCOPE.match(re.sub(r"^\s*template\s*<.*?>\s*(?=class|struct|union)", "", ATTRIBUTE.sub("", header), flags=re.DOTALL).strip())
            if scope and not (scope[1] in ("class", "struct", "union", "enum") and split_header(header)):
                if scope[1] in ("class", "struct", "union"):
                    inner = {"name": scope[2], "private": scope[1] == "class", "methods": 0}
                    scan(text, at + 1, close, inner, where, shape)
                    shape.classes.append((inner["methods"], place(text, where, start), inner["name"]))
                elif scope[1] != "enum":
                    scan(text, at + 1, close, None, where, shape)
                start = close + 1 if scope[1] in ("namespace", "extern") else start
                if scope[1] not in ("namespace", "extern"):
                    start = text.find(";", close) + 1
                    close = start - 1
            elif not opens_initializer(header):
                note(text, start, at, close, owner, (where, shape))
                start = close + 1
            at = close
        at += 1


def place(text, where, at):
    at += len(text[at:]) - len(text[at:].lstrip())
    return f"{where}:{text.count(chr(10), 0, at) + 1}"


def note(text, start, at, close, owner, target):
    """A declaration, with a body from `at` to `close` or without one."""
    where, shape = target
    function = split_header(text[start:at])
    if not function:
        return
    name, parameters = function
    spot = place(text, where, start)
    shape.parameters.append((count_parameters(parameters), spot, name))
    if close is not None:
        shape.functions.append((max(0, text.count("\n", at, close) - 1), spot, name))
    if owner and owner["private"] and not re.search(r"=\s*(delete|default)\s*$", text[start:at]):
        owner["methods"] += 1


def measure(project):
    shape = Shape()
    for file in sorted((project / "src").rglob("*")):
        if file.suffix in SUFFIXES:
            read(file.read_text(encoding="utf-8"), str(file.relative_to(project)), shape)
    return shape


def report(shape, rows):
    for title, figures in zip(("lines of files", "private methods of classes", "lines of functions", "parameters of functions"), shape.figures()):
        print(f"{title}:")
        for number, *words in sorted(figures, key=lambda one: (-one[0], one[1]))[:rows]:
            print(f"  {number:5}  {'  '.join(words)}")
    above = [f"{words.format(mark)}: {sum(one[0] > mark for one in figures)}" for (words, mark), figures in zip(MARKS.items(), shape.figures())]
    print("; ".join(above))


SAMPLE = """// a comment with { and (
#define BRACE {
namespace a::b {
namespace {
constexpr char kText[] = "{ not a brace";
int free_one(int a, std::map<int, std::pair<int, int>> b = {{1, {2, 3}}}, void (*call)(int, int) = nullptr) {
  const auto inner = [&](int x) {
    return x;
  };
  return inner(a);
}
}  // namespace

template <class T, std::size_t kSize>
class Outer final : public Base<T> {
 public:
  explicit Outer(int a, int b) : a_{a}, b_(std::vector<int>{b}) {
    go();
  }
  Outer(const Outer&) = delete;
  [[nodiscard]] bool visible() const { return true; }
  struct Inner {
    void method(int a);
   private:
    void hidden();
    int field_ = compute(1, 2);
  };

 private:
  [[gnu::cold]] [[nodiscard]] std::optional<int> first(int a, T b, int c, int d, int e, int f) const;
  template <class U>
  void second(U act) {
    act();
  }
  bool operator()(int a, int b) const;
  friend bool operator==(const Outer&, const Outer&) = default;
  static constexpr std::size_t kLimit = sizeof(int) * limit(3);
  std::function<void(int, int)> callback_{[](int, int) {}};
  enum class Kind : std::uint8_t { one, two };
  std::vector<int> values_{1, 2, 3};
};

Outer::Outer()
    : first_(1),
      second_{2} {
  one();
  two();
}
}  // namespace a::b
"""


def self_test():
    shape = Shape()
    read(SAMPLE, "x.hpp", shape)
    expected = [
        ([(SAMPLE.count("\n"), "x.hpp")], shape.files),
        ([(1, "x.hpp:22", "Inner"), (3, "x.hpp:14", "Outer")], shape.classes),
        ([4, 1, 0, 1, 2], [one[0] for one in shape.functions]),
        ({"free_one": 3, "Outer": 0, "visible": 0, "method": 1, "hidden": 0, "first": 6, "second": 1, "operator()": 2, "operator==": 2},
         {name: count for count, _, name in shape.parameters}),
    ]
    wrong = [f"self-test: expected {right}, got {got}" for right, got in expected if right != got]
    print("\n".join([*wrong, f"{0 if wrong else 1} passed, {1 if wrong else 0} failed"]))
    return 1 if wrong else 0


def main(arguments):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)   # head ends early
    if "--self-test" in arguments:
        return self_test()
    rows = 10
    if "--rows" in arguments:
        at = arguments.index("--rows")
        rows = int(arguments[at + 1])
        del arguments[at:at + 2]
    if len(arguments) != 1:
        print(__doc__.rstrip().splitlines()[-1], file=sys.stderr)
        return 2
    report(measure(Path(arguments[0])), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
