# SPDX-License-Identifier: BSD-3-Clause
"""The C++ of one PTX instruction.  do_<first part of its name>, but for where many are alike."""
import math
import re
import struct

C_TYPES = {
    "pred": "bool",
    **{kind + size: f"uint{size}_t" for kind in "bu" for size in ("8", "16", "32", "64")},
    **{"s" + size: f"int{size}_t" for size in ("8", "16", "32", "64")},
    "f32": "float",
    "f64": "double",
}
SIZES = {"float": 4, "double": 8, **{c: int(re.search(r"\d+", c).group()) // 8 for c in C_TYPES.values() if "int" in c}}
TWICE = {  # as wide
    **{"int16_t": "int32_t", "uint16_t": "uint32_t", "int32_t": "int64_t", "uint32_t": "uint64_t"},
    **{"int64_t": "__int128", "uint64_t": "unsigned __int128"},
}
BUILTIN = {"float": "__builtin_{}f".format, "double": "__builtin_{}".format}  # a function of <math.h>
INDEX = {"tid": "thread_index", "ctaid": "block_index", "ntid": "block_size", "nctaid": "grid_size"}
SPECIAL = {f"%{name}.{axis}": f"simt::{variable}.{axis}" for name, variable in INDEX.items() for axis in "xyz"}
SPECIAL["%laneid"] = "simt::lane()"

COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
OPPOSITE = {"ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<"}  # an unordered comparison is that this one does not hold
ARITHMETIC = {"add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "mad": "{0} * {1} + {2}", "neg": "-{0}"}
LOGIC = {"and": "{0} & {1}", "or": "{0} | {1}", "xor": "{0} ^ {1}", "not": "~{0}"}
ATOMIC = {
    **{"add": "old + v", "or": "old | v", "and": "old & v", "exch": "v"},
    **{"min": "ptx::least(old, v)", "max": "ptx::largest(old, v)"},
}
ROUND = {"rni": "nearbyint", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}
SHUFFLES = {"idx": "INDEX", "up": "UP", "down": "DOWN", "bfly": "XOR"}


class Unknown(Exception):
    """An instruction, or a form of one, that the translator does not know."""


def is_float(c_type):
    return c_type in ("float", "double")


def identifier(name):
    return re.sub(r"\W", "_", name.lstrip("%"))


def split_vector(text):
    return [part.strip() for part in text.strip("{}()").split(",")]


def number(text, want):
    """An immediate operand: 0f and the bits of a float, 0d of a double, or an integer."""
    if text[:2] in ("0f", "0d"):
        have, code = ("float", "fI") if text[1] == "f" else ("double", "dQ")
        digits = int(text[2:], 16)
        bits = f"0x{digits:x}{'u' if have == 'float' else 'ull'}"
        if not is_float(want):
            return f"({want}){bits}"
        value = struct.unpack(code[0], struct.pack(code[1], digits))[0]
        return f"({want}){value.hex()}" if math.isfinite(value) else f"ptx::bits<{have}>({bits})"
    if want == "bool":
        return "true" if int(text, 0) else "false"
    wide = SIZES[want] == 8
    return f"({want})0x{int(text, 0) & (2 ** (64 if wide else 32) - 1):x}{'ull' if wide else 'u'}"


class Translator:
    """Of one function: C++ types of its registers, addresses in shared memory, and the names of what lies in memory."""

    def __init__(self, types, shared, in_memory, result):
        self.types, self.shared, self.in_memory, self.result = types, shared, in_memory, result

    def statement(self, i):
        root, *mods = i.opcode.split(".")
        method = getattr(self, "do_" + root, None)
        if method is None:
            raise Unknown(i.opcode)
        try:
            text = method(i, mods, C_TYPES.get(mods[-1]) if mods else None, *i.operands)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unknown(f"{i.opcode} {', '.join(i.operands)} ({i.where})") from error
        return f"if ({self.value(i.guard, 'bool')}) {{ {text} }}" if i.guard else text

    # ---- operands

    def value(self, text, want):
        if text.startswith("!"):
            return "!" + self.value(text[1:], want)
        if text in self.types:
            name, have = identifier(text), self.types[text]
            if have == want:
                return name
            return f"ptx::bits<{want}>({name})" if is_float(have) != is_float(want) else f"({want}){name}"
        if text in SPECIAL:
            return f"({want}){SPECIAL[text]}"
        if text in self.shared:
            return f"({want})0x{self.shared[text]:x}u"
        if text in self.in_memory:
            return f"({want})(uintptr_t)&{identifier(text)}"
        return number(text, want)

    def assign(self, target, expression, have):
        """`have`: the type of the expression; where the register is wider, its sign goes along."""
        if target == "_":
            return ""
        want = self.types[target]
        if want != have:
            expression = f"({have})({expression})"
        if is_float(want) != is_float(have):
            expression = f"ptx::bits<{want}>({expression})"
        return f"{identifier(target)} = {expression};"

    def apply(self, form, kind, target, *operands):
        return self.assign(target, form.format(*(self.value(o, kind) for o in operands)), kind)

    def place(self, i, space, address, size):
        """A pointer to where an operand in brackets lies."""
        base, offset = re.fullmatch(r"\[([%\w$]+)(?:\+(-?\d+))?\]", address).groups(default="0")
        if space == "param" and base not in self.types:
            return f"(unsigned char *)&{identifier(base)} + {offset}"
        place = f"{self.value(base, 'uint64_t')} + (int64_t){offset}, {size}, {self.at(i)}"
        return f"ptx::shared(shared_variables, {place})" if space == "shared" else f"ptx::memory({place})"

    @staticmethod
    def at(i):
        return f'"{i.where}: {i.opcode}"'

    # ---- arithmetic

    def arithmetic(self, i, mods, kind, target, *operands):
        form = ARITHMETIC[i.opcode.split(".")[0]]
        if "wide" in mods:
            wide = TWICE[kind]
            factors = [f"({wide}){self.value(o, kind)}" for o in operands[:2]]
            return self.assign(target, form.format(*factors, *(self.value(o, wide) for o in operands[2:])), wide)
        if "hi" in mods:
            return self.apply(f"(({TWICE[kind]}){{0}} * {{1}}) >> {8 * SIZES[kind]}", kind, target, *operands)
        if i.opcode == "add.rz.f32":
            return self.apply("ptx::toward_zero_sum({0}, {1})", kind, target, *operands)
        if set(mods[:-1]) - {"rn", "lo"}:
            raise Unknown(i.opcode)
        if not is_float(kind):  # wraps around
            kind = f"uint{max(8 * SIZES[kind], 32)}_t"
        return self.apply(form, kind, target, *operands)

    do_add = do_sub = do_mul = do_mad = do_neg = arithmetic

    def do_fma(self, i, mods, kind, *operands):
        if mods[:-1] != ["rn"]:
            raise Unknown(i.opcode)
        return self.apply(BUILTIN[kind]("fma") + "({0}, {1}, {2})", kind, *operands)

    def function(self, i, mods, kind, target, *operands):
        """Rounded to the nearest, or approximate."""
        root = i.opcode.split(".")[0]
        if "approx" in mods:
            flush = "ptx::flushed({})" if "ftz" in mods and kind == "float" else "{}"
            arguments = ", ".join(flush.format(self.value(o, kind)) for o in operands)
            return self.assign(target, flush.format(f"ptx::approximate_{root}({arguments})"), kind)
        if mods[:-1] != ["rn"]:
            raise Unknown(i.opcode)
        forms = {"rcp": "1 / {0}", "div": "{0} / {1}", "sqrt": BUILTIN[kind]("sqrt") + "({0})"}
        return self.apply(forms[root], kind, target, *operands)

    do_rcp = do_sqrt = do_rsqrt = do_ex2 = do_lg2 = function

    def do_div(self, i, mods, kind, *operands):
        if is_float(kind):
            return self.function(i, mods, kind, *operands)
        return self.apply("ptx::quotient({0}, {1})", kind, *operands)

    def do_rem(self, i, mods, kind, *operands):
        return self.apply("ptx::remainder({0}, {1})", kind, *operands)

    def do_min(self, i, mods, kind, *operands):
        return self.apply("ptx::least({0}, {1})", kind, *operands)

    def do_max(self, i, mods, kind, *operands):
        return self.apply("ptx::largest({0}, {1})", kind, *operands)

    def do_abs(self, i, mods, kind, *operands):
        return self.apply(BUILTIN[kind]("fabs") + "({0})" if is_float(kind) else "ptx::size({0})", kind, *operands)

    def do_copysign(self, i, mods, kind, *operands):
        return self.apply(BUILTIN[kind]("copysign") + "({1}, {0})", kind, *operands)

    def do_cvt(self, i, mods, kind, target, a):
        how, (to, of) = mods[:-2], (C_TYPES[m] for m in mods[-2:])
        text = self.value(a, of)
        if is_float(of) and how and how[0] in ROUND:
            text = f"{BUILTIN[of](ROUND[how[0]])}({text})"
            return self.assign(target, text if is_float(to) else f"ptx::integer<{to}>({text})", to)
        if how not in ([], ["rn"]) or (is_float(of) and not is_float(to)):
            raise Unknown(i.opcode)
        return self.assign(target, f"({to}){text}", to)

    # ---- bits, comparisons

    def logic(self, i, mods, kind, *operands):
        form = LOGIC[i.opcode.split(".")[0]]
        return self.apply("!{0}" if form == "~{0}" and kind == "bool" else form, kind, *operands)

    do_and = do_or = do_xor = do_not = logic

    def shift(self, i, mods, kind, target, a, by):
        """By as much as the type is wide, or more: nothing is left, or the sign."""
        left = i.opcode.startswith("shl")
        if by.isdigit() and int(by) < 8 * SIZES[kind]:
            return self.apply(f"{{0}} {'<<' if left else '>>'} {by}", kind, target, a)
        name = "ptx::shifted_left" if left else "ptx::shifted_right"
        return self.assign(target, f"{name}({self.value(a, kind)}, {self.value(by, 'uint32_t')})", kind)

    do_shl = do_shr = shift

    def do_popc(self, i, mods, kind, target, a):
        return self.assign(target, f"__builtin_popcountll({self.value(a, kind)})", "uint32_t")

    def do_setp(self, i, mods, kind, target, a, b):
        how, a, b = mods[0], self.value(a, kind), self.value(b, kind)
        if len(mods) != 2:
            raise Unknown(i.opcode)
        ordered = {"ne": f"{a} < {b} || {a} > {b}", "num": f"{a} == {a} && {b} == {b}"}
        unordered = {"neu": f"{a} != {b}", "equ": f"!({ordered['ne']})", "nan": f"!({ordered['num']})"}
        if how == "ne" and not is_float(kind):
            text = unordered["neu"]
        elif how in COMPARE:
            text = f"{a} {COMPARE[how]} {b}"
        elif how in OPPOSITE:
            text = f"!({a} {OPPOSITE[how]} {b})"
        else:
            text = {**ordered, **unordered}[how]
        return self.assign(target, text, "bool")

    def do_selp(self, i, mods, kind, target, a, b, p):
        return self.assign(target, f"{self.value(p, 'bool')} ? {self.value(a, kind)} : {self.value(b, kind)}", kind)

    # ---- memory

    def do_mov(self, i, mods, kind, target, source):
        if source.startswith("{"):
            parts = split_vector(source)
            bits = 8 * SIZES[kind] // len(parts)
            packed = (f"({kind}){self.value(p, f'uint{bits}_t')} << {n * bits}" for n, p in enumerate(parts))
            return self.assign(target, " | ".join(packed), kind)
        if target.startswith("{"):
            parts = split_vector(target)
            bits = 8 * SIZES[kind] // len(parts)
            whole = self.value(source, kind)
            return " ".join(self.assign(p, f"{whole} >> {n * bits}", f"uint{bits}_t") for n, p in enumerate(parts))
        return self.assign(target, self.value(source, kind), kind)

    def access(self, i, mods, kind, vector, address):
        """Space and declaration of a pointer `at`, and the parts of the vector."""
        spaces = [m for m in mods if m in ("param", "global", "shared", "local")]
        if set(mods[:-1]) - {"v2", "v4", "nc", "volatile", *spaces}:
            raise Unknown(i.opcode)
        parts = split_vector(vector)
        place = self.place(i, spaces[0] if spaces else "generic", address, SIZES[kind] * len(parts))
        return f"{kind} *const at = ({kind} *)({place});", parts

    def do_ld(self, i, mods, kind, target, address):
        place, parts = self.access(i, mods, kind, target, address)
        return " ".join(["{", place, *(self.assign(p, f"at[{n}]", kind) for n, p in enumerate(parts)), "}"])

    def do_st(self, i, mods, kind, address, source):
        place, parts = self.access(i, mods, kind, source, address)
        return " ".join(["{", place, *(f"at[{n}] = {self.value(p, kind)};" for n, p in enumerate(parts)), "}"])

    def do_atom(self, i, mods, kind, target, address, value):
        if mods[0] not in ("shared", "global"):
            raise Unknown(i.opcode)
        place = f"{kind} *const at = ({kind} *){self.place(i, mods[0], address, SIZES[kind])};"
        change = f"const {kind} old = *at, v = {self.value(value, kind)}; *at = {ATOMIC[mods[1]]};"
        return f"{{ {place} {change} {self.assign(target, 'old', kind)} }}"

    def do_red(self, i, mods, kind, address, value):
        return self.do_atom(i, mods, kind, "_", address, value)

    def do_cvta(self, i, mods, kind, target, a):
        """Generic addresses are those of the host, and so are global and local ones."""
        a = self.value(a, kind)
        if mods[0] == "shared":
            a = f"(uintptr_t)ptx::in_shared(shared_variables, {a}, 0, {self.at(i)})"
        elif "shared" in mods:
            raise Unknown(i.opcode)
        return self.assign(target, a, kind)

    # ---- where threads meet: in the same text, for the shim, and those of a block in the same line of the source, too

    @staticmethod
    def line(i):
        return i.line or i.ptx_line

    def do_bar(self, i, mods, kind, *operands):
        if mods[0] == "warp":
            mask = self.value(operands[0], "uint32_t")
            return f'simt::warp_meet("bar.warp.sync", {mask}, 0, 0, nullptr, {self.line(i)});'
        if mods[0] == "sync" and list(operands) == ["0"]:
            return f'simt::block_meet("bar.sync", false, {i.line});'
        if mods[:2] == ["red", "or"] and operands[1] == "0":
            votes = f'simt::block_meet("bar.red.or", {self.value(operands[2], "bool")}, {i.line})'
            return self.assign(operands[0], f"{votes} != 0", "bool")
        raise Unknown(i.opcode)

    def do_shfl(self, i, mods, kind, target, value, b, c, mask):
        target = target.split("|")[0]  # what comes behind, whether there is such a lane, no intrinsic asks
        operands = ", ".join(self.value(o, "uint32_t") for o in (value, b, c, mask))
        call = f'ptx::shuffle("shfl.{mods[1]}", simt::SHUFFLE_{SHUFFLES[mods[1]]}, {operands}, {self.line(i)})'
        return self.assign(target, call, "uint32_t")

    def do_vote(self, i, mods, kind, target, p, mask):
        mask = self.value(mask, "uint32_t")
        votes = f'ptx::ballot("vote.{mods[1]}", {self.value(p, "bool")}, {mask}, {self.line(i)})'
        if mods[1] == "ballot":
            return self.assign(target, votes, "uint32_t")
        return self.assign(target, votes + {"any": " != 0", "all": f" == {mask}"}[mods[1]], "bool")

    # ---- flow

    def do_bra(self, i, mods, kind, label):
        return f"goto {identifier(label)};"

    def do_ret(self, i, mods, kind):
        return f"return {identifier(self.result[0].name) if self.result else ''};"

    def do_call(self, i, mods, kind, results, name, arguments):
        arguments = ", ".join(map(identifier, split_vector(arguments)))
        return f"{identifier(split_vector(results)[0])} = {name}({arguments});"
