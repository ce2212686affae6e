# SPDX-License-Identifier: BSD-3-Clause
"""Reads PTX as nvcc writes it: the functions of a module with their statements, and its variables in shared memory."""
import collections
import re

Variable = collections.namedtuple("Variable", "name align bytes")  # bytes None: dynamic shared memory
Parameter = collections.namedtuple("Parameter", "name type bytes")  # bytes None: a number, of its type
Function = collections.namedtuple("Function", "name is_kernel result parameters most_threads body")

# Statements of a body.  Of an instruction, `where` is for reports; `line` is that of the source, 0 if nvcc did not say.
Instruction = collections.namedtuple("Instruction", "guard opcode operands where line ptx_line")
Brace = collections.namedtuple("Brace", "text")
Label = collections.namedtuple("Label", "name")
Declaration = collections.namedtuple("Declaration", "space type name count")  # count: registers or elements; 0: one

HEAD = re.compile(
    r"^(?:\.visible |\.weak )?\.(?P<kind>entry|func)\s+(?:\((?P<result>[^)]*)\)\s*)?(?P<name>[\w$]+)"
    r"\((?P<parameters>[^)]*)\)(?P<directives>[^{;]*)\{\n",
    re.M,
)
BRACE = re.compile(r"[{}]")
FILE = re.compile(r'^\s*\.file\s+(\d+) "([^"]*)"', re.M)
PARAMETER = re.compile(r"\.param\s+(?:\.align \d+\s+)?\.([bfsu]\d+)\s+([\w$]+)(?:\[(\d+)\])?")
SHARED = re.compile(r"\.shared\s+\.align (\d+)\s+\.[bfsu](\d+)\s+([\w$]+)(\[(\d*)\])?;")
LOCATION = re.compile(r"\.loc\s+(\d+) (\d+) \d+(?:, function_name [^,]*, inlined_at (\d+) (\d+) \d+)?\s*\n")
DECLARATION = re.compile(r"\.(reg|param|local)\s+(?:\.align \d+\s+)?\.(\w+)\s+(%?[\w$]+)(?:<(\d+)>|\[(\d+)\])?$")
INSTRUCTION = re.compile(r"(?:@(!?%\w+)\s+)?([a-z][\w.:]*)\s*(.*)$")
LABEL = re.compile(r"[\w$]+:")
SPACE = re.compile(r"\s*")


class Module:
    def __init__(self, text):
        self.text = text
        self.files = {number: path.rsplit("/", 1)[-1] for number, path in FILE.findall(text)}
        self.shared = {}
        for align, bits, name, array, count in SHARED.findall(text):
            size = None if array and not count else int(bits) // 8 * int(count or 1)
            self.shared[name] = Variable(name, int(align), size)

    def functions(self, wanted):
        """Kernels whose name `wanted` takes, after all functions that are none."""
        heads = [h for h in HEAD.finditer(self.text) if h["kind"] == "func" or wanted(h["name"])]
        return [self.function(h) for h in sorted(heads, key=lambda h: h["kind"] == "entry")]

    def function(self, head):
        most = re.search(r"\.maxntid (\d+)", head["directives"])
        return Function(
            head["name"],
            head["kind"] == "entry",
            parameters_of(head["result"] or ""),
            parameters_of(head["parameters"]),
            int(most.group(1)) if most else 0,
            list(self.statements(head)),
        )

    def body(self, begin):
        """Up to the brace that closes it: PTX that comes out of an object is not indented."""
        depth = 1
        for brace in BRACE.finditer(self.text, begin):
            depth += 1 if brace.group() == "{" else -1
            if depth == 0:
                return self.text[begin : brace.start()]
        raise ValueError(f"no end of the function at line {self.text.count(chr(10), 0, begin)} of the PTX")

    def statements(self, head):
        body = re.sub(r"//[^\n]*", "", self.body(head.end()))
        ptx_line = self.text.count("\n", 0, head.end()) + 1
        source, line, at = None, 0, 0
        while True:
            begin = SPACE.match(body, at).end()
            ptx_line += body.count("\n", at, begin)
            if begin == len(body):
                return
            if location := LOCATION.match(body, begin):
                source, line = self.place(*location.groups())
                end = location.end()
            elif label := LABEL.match(body, begin):
                yield Label(label.group()[:-1])
                end = label.end()
            elif body[begin] in "{}":
                yield Brace(body[begin])
                end = begin + 1
            else:
                end = body.index(";", begin) + 1
                where = source or f"{head['name']}, line {ptx_line} of the PTX"
                yield from statement(" ".join(body[begin : end - 1].split()), where, line, ptx_line)
            ptx_line += body.count("\n", begin, end)
            at = end

    def place(self, file, line, calling_file, calling_line):
        """File and line of a kernel's source: of the call, where a function of the toolkit's headers is inlined."""
        if calling_file and not self.files[file].endswith(".cuh"):
            file, line = calling_file, calling_line
        return f"{self.files[file]}:{line}", int(line)


def statement(text, *place):
    if text.startswith((".pragma", ".shared")):
        return
    if text.startswith("."):
        space, kind, name, registers, elements = DECLARATION.match(text).groups()
        yield Declaration(space, kind, name, int(registers or elements or 0))
    else:
        guard, opcode, operands = INSTRUCTION.match(text).groups()
        yield Instruction(guard, opcode, split_operands(operands), *place)


def parameters_of(text):
    return [Parameter(name, kind, int(bytes_) if bytes_ else None) for kind, name, bytes_ in PARAMETER.findall(text)]


def split_operands(text):
    """At commas that are in no bracket."""
    return [part.strip() for part in re.findall(r"(?:\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|[^,{\[(])+", text)]
