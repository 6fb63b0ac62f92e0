"""Reads what allocation_counter.cpp counts in a running process: allocations, frees, octets asked for, and from where.

`environment(folder)` is what the process needs to be counted; its children by exec are counted too, each in a file of its own.
"""
import collections
import os
import re
import struct
import subprocess
from pathlib import Path

HEADER = struct.Struct("=4Q")   # allocations, frees, bytes, lost stacks
STACK = struct.Struct("=3Q37Q")   # hash, calls, bytes, return addresses up to a zero
MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ +(/.*)$")


def library(build, name="allocation-counter"):
    """A library of this folder in a meson build folder with -Dbench=true."""
    return Path(build).resolve() / "bench/allocations" / f"{name}.so"


def environment(folder, counter, stacks=False):
    """Variables for a process (and its children) whose counts go to `folder`; `counter` is the library."""
    return {"LD_PRELOAD": str(counter), "ALLOCATION_COUNTS": str(folder)} | ({"ALLOCATION_STACKS": "1"} if stacks else {})


def read(folder, pid):
    """The counters of a process up to now."""
    with open(Path(folder) / str(pid), "rb") as file:
        allocations, frees, octets, _ = HEADER.unpack(file.read(HEADER.size))
    return {"allocations": allocations, "frees": frees, "bytes": octets}


def stacks(folder, pid):
    """{return addresses, innermost first: (calls, bytes)} of a process up to now."""
    content = (Path(folder) / str(pid)).read_bytes()[HEADER.size:]
    found = {}
    for digest, calls, octets, *addresses in STACK.iter_unpack(content):
        if digest:
            found[tuple(addresses[:addresses.index(0)] if 0 in addresses else addresses)] = (calls, octets)
    return found


def more_stacks(before, after):
    """What was added from one `stacks` to a later one."""
    difference = {key: (calls - before.get(key, (0, 0))[0], octets - before.get(key, (0, 0))[1]) for key, (calls, octets) in after.items()}
    return {key: value for key, value in difference.items() if value[0]}


def mappings(pid):
    """[(first address, end, offset in the file, file)] of a running process."""
    found = [MAPPING.match(line) for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return [(int(one[1], 16), int(one[2], 16), int(one[3], 16), one[4]) for one in found if one]


def resolve(addresses, mapped):
    """{address: [(function, place in the source), ...]} of return addresses; functions that were inlined stand before their callers.
    `mapped` are the `mappings` of the process."""
    by_file = collections.defaultdict(dict)
    for address in addresses:
        for first, end, offset, file in mapped:
            if first <= address < end:
                # One less: the call and not what comes after it, which may belong to another line or function.
                by_file[file][address] = address - first + offset - 1
    names = {}
    for file, places in by_file.items():
        if not os.path.exists(file):
            continue
        command = ["addr2line", "--exe", file, "--functions", "--inlines", "--demangle", "--addresses", *map(hex, _virtual(file, places.values()))]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        for address, block in zip(places, _blocks(output)):
            names[address] = [(_shorten(function), place.split(" (discriminator")[0]) for function, place in zip(block[::2], block[1::2])]
    return names


def _virtual(file, offsets):
    """Offsets in an ELF file as the addresses that its symbols have."""
    loads = [line.split() for line in subprocess.run(["readelf", "--segments", "--wide", file], capture_output=True, text=True,
                                                     check=True).stdout.splitlines() if line.strip().startswith("LOAD")]
    segments = [(int(fields[1], 16), int(fields[2], 16), int(fields[4], 16)) for fields in loads]
    return [next((offset - start + virtual for start, virtual, size in segments if start <= offset < start + size), offset) for offset in offsets]


def _blocks(lines):
    """The output of addr2line --addresses, cut before each address."""
    block = None
    for line in lines:
        if re.fullmatch(r"0x[0-9a-f]+", line):
            if block is not None:
                yield block
            block = []
        else:
            block.append(line)
    if block is not None:
        yield block


def _shorten(function):
    """A demangled name without its result, its arguments and what its templates are made of."""
    function = re.sub(r"\[abi:\w+\]|\(anonymous namespace\)::|dotrelay::", "", function)
    if "operator" in function:
        return function.partition("(")[0]
    depth, kept = 0, []
    for letter in function.removesuffix(" const"):
        depth -= letter in ">)"
        if depth == 0 and letter not in ">)<(":
            kept.append(letter)
        depth += letter in "<("
    return "".join(kept).split(" ")[-1] or function
