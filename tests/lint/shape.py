#!/usr/bin/env python3
"""Reports the shape of src/: the largest files and functions, the classes with most private methods, the longest parameter lists.

A report and no gate: a figure above the mark is a question, and the answer may be that the code reads best as it is. It reads the
sources as clang-format leaves them, needs no build, and knows C++ as far as declarations go: macros are not expanded, both ways of
an #if count, and a variable that is made with round brackets at namespace scope looks like a function. Lambdas count for the function
that holds them, a class for itself and not for those inside it; friends and functions that are deleted or defaulted are no private
methods. With --self-test it proves that it counts right, and prints no more than that.

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
# Comments, literals and preprocessor lines hold braces that are none. A quote behind a digit separates thousands.
OPAQUE = re.compile(r"""//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'|^[ ]*\#(?:[^\n]*\\\n)*[^\n]*""",
                    re.DOTALL | re.MULTILINE)
ATTRIBUTE = re.compile(r"\[\[.*?\]\]", re.DOTALL)
ALIGNMENT = re.compile(r"\balignas\([^()]*\)")
ACCESS = re.compile(r"^\s*(public|protected|private)\s*:(?!:)")
SCOPE = re.compile(r"^(?:inline\s+)?(namespace|extern|class|struct|union|enum)\b(?:\s+(?:class|struct)\b)?\s*([\w:]*)")
NO_FUNCTION = {"if", "for", "while", "switch", "catch", "return", "static_assert", "sizeof"}
# Their brackets hold an expression, and the declaration goes on behind it.
WITH_EXPRESSION = {"decltype", "noexcept", "alignas", "explicit", "requires"}
NAME = re.compile(r"(operator\s*\(\)|operator\s*[^\w\s(]+|operator\s+[\w:][\w:*& ]*|~?\w+)\s*$")


@dataclass
class Shape:
    files: list = field(default_factory=list)        # (lines, where)
    classes: list = field(default_factory=list)      # (private methods, where, name)
    functions: list = field(default_factory=list)    # (lines, where, name)
    parameters: list = field(default_factory=list)   # (parameters, where, name)
    unbalanced: list = field(default_factory=list)   # files whose braces do not match

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


def without_templates(header):
    """The header behind its `template <...>`."""
    header = ALIGNMENT.sub("", ATTRIBUTE.sub("", header)).strip()
    while opening := re.match(r"template\s*<", header):
        header = header[closing_angle(header, opening.end() - 1) + 1:].strip()
    return header


def closing_angle(text, at):
    """Where the angle bracket that opens at `at` closes; what stands in other brackets is no matter of angles."""
    depth = 0
    while at < len(text):
        if text[at] in "({[":
            at = closing(text, at)
        depth += (text[at] == "<") - (text[at] == ">" and text[at - 1] != "-")
        if depth == 0:
            return at
        at += 1
    return len(text) - 1


def split_header(header):
    """(name, parameters, what follows them) of what declares a function; None for everything else."""
    header = without_templates(header)
    if re.match(r"(typedef|using)\b", header):
        return None
    index, before = 0, ""   # `before`: what has been read, without arguments of templates at its end
    while index < len(header):
        sign = header[index]
        named_by_signs = re.search(r"\boperator\s*[-=!<>+*/|&^%~,]*$", before)
        if sign == "<" and not named_by_signs:
            index = closing_angle(header, index)
        elif sign == "=" and not named_by_signs:
            return None   # a variable, or an alias
        elif sign == "(":
            end = closing(header, index)
            name = NAME.search(before)
            if name and name[1] in WITH_EXPRESSION:
                before = ""
            elif name and name[1] == "operator":   # of calls
                before += header[index:end + 1]
            elif not name or name[1] in NO_FUNCTION or re.match(r"\(\s*(?:\w+::)*[*&]", header[index:]):
                return None   # the last: a pointer to functions
            else:
                return name[1], header[index + 1:end], header[end + 1:]
            index = end
        elif sign in "[{":
            end = closing(header, index)
            before += header[index:end + 1] if named_by_signs else " "
            index = end
        else:
            before += sign
        index += 1
    return None


def count_parameters(text):
    """Commas outside of brackets, plus one. An ellipsis at the end is no parameter."""
    text = re.sub(r"(^|,)\s*\.\.\.\s*$", "", text).replace("<<", "  ")
    if text.strip() in ("", "void"):
        return 0
    count, angle, index = 1, 0, 0
    while index < len(text):
        sign = text[index]
        if sign in "({[":
            index = closing(text, index)
        elif sign == "<":
            angle += 1
        elif sign == ">" and text[index - 1] != "-":
            angle = max(0, angle - 1)
        count += sign == "," and angle == 0
        index += 1
    return count


def opens_initializer(header):
    """Whether the brace behind `header` belongs to a member in a constructor's list, or to a variable."""
    function = split_header(header)
    if not function:
        return True
    rest, index = function[2].replace("::", "  "), 0
    while index < len(rest) and rest[index] != ":":
        index = closing(rest, index) + 1 if rest[index] in "({[" else index + 1
    return index < len(rest) and re.search(r"[\w>]\s*$", header) is not None


def read(text, where, shape):
    """Adds what one file holds."""
    shape.files.append((text.count("\n"), where))
    text = OPAQUE.sub(blank, text)
    if text.count("{") != text.count("}"):
        shape.unbalanced.append(where)
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
            scope = SCOPE.match(without_templates(header))
            if header.strip().startswith("catch"):   # of a function that is one try block
                start = close + 1
            elif scope and not split_header(header):
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
    name, parameters, _ = function
    spot = place(text, where, start)
    shape.parameters.append((count_parameters(parameters), spot, name))
    if close is not None:
        shape.functions.append((max(0, text.count("\n", at, close) - 1), spot, name))
    if owner and owner["private"] and not re.search(r"\bfriend\b|=\s*(delete|default)\s*$", text[start:at]):
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
    for where in shape.unbalanced:
        print(f"{where}: its braces do not match, so its figures are not to be trusted")
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

# (C++, [(parameters, name)], [lines of a function with a body], [(private methods, class)])
SNIPPETS = [
    ("constexpr int kSum = 1'000 + 2'000, kBrace = '{';\nvoid f() {\n}", [(0, "f")], [0], []),
    ("struct alignas(64) Slot {\n  void (*begin)(const Target&);\n  Problem (*judge)(int) = nullptr;\n};", [], [], [(0, "Slot")]),
    ("using Set = void (*)(int, int);\nusing Signature = int(int, int);\ntypedef int (*Old)(int, int);", [], [], []),
    ("class A {\n  friend void f(A&);\n  void g(int a = std::max(1, 2));\n\n public:\n  void h();\n};",
     [(1, "f"), (1, "g"), (0, "h")], [], [(1, "A")]),
    ("class A {\n  A(int a, F f = [](int x, int y) { return x; }) noexcept(noexcept(a + 1))\n      : a_{a}, b_(f), c_(a ? 1 : 2) {\n"
     "    go();\n  }\n  A();\n};", [(2, "A"), (0, "A")], [1], [(2, "A")]),
    ("struct A {\n  operator bool() const { return true; }\n  int operator()(int a, int b) const;\n  A& operator,(int);\n"
     "  A& operator<<(int);\n  int& operator[](int) {\n    go();\n  }\n  A* operator->();\n  bool operator<(const A&) const;\n};",
     [(0, "operator bool"), (2, "operator()"), (1, "operator,"), (1, "operator<<"), (1, "operator[]"), (0, "operator->"), (1, "operator<")],
     [0, 1], [(0, "A")]),
    ("template <class T = V<int>, int N = (sizeof(T) > 4)>\n  requires(N > 4)\n"
     "auto f(T a = {}, M<int, P<int, int>> b = M<int, int>{1, 2}) -> V<T> {\n"
     "  return {};\n}", [(2, "f")], [1], []),
    ("template <>\nvoid pack<int>(int&& x, ...) {\n}\nvoid g(int n = 1 << 2, bool b = (n < 3), int (*f)(int, int) = 0);",
     [(1, "pack"), (3, "g")], [0], []),
    ('extern "C" {\nvoid f(int) {}\n}\nextern "C" int g(int, int) {\n  h(1);\n}', [(1, "f"), (2, "g")], [0, 1], []),
    ("[[gnu::noinline]] static decltype(auto) f(int a) {\n  return [a](int b) {\n    return b;\n  };\n}\nconst auto l = [](int a) {\n  go();\n};",
     [(1, "f")], [3], []),
    ("T::T(S s) try : a_{0} {\n  go();\n} catch (...) {\n  throw;\n}\nvoid next(int);", [(1, "T"), (1, "next")], [1], []),
]


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
    for text, *right in SNIPPETS:
        shape = Shape()
        read(text, "x.hpp", shape)
        got = [[(count, name) for count, _, name in shape.parameters], [one[0] for one in shape.functions],
               [(count, name) for count, _, name in shape.classes]]
        expected.append((right, got))
    shape = Shape()
    read("#if A\nvoid f() {\n#else\nvoid f(int) {\n#endif\n}", "x.hpp", shape)
    expected.append((["x.hpp"], shape.unbalanced))
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
