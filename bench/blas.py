# SPDX-License-Identifier: BSD-3-Clause
"""The BLAS libraries in this process: the kernels that each picked for this processor, and its number of threads.

A BLAS has kernels for several generations of processors and picks some when it is loaded.  One that is older than the
processor may not know it and pick those of 2004: it then takes up to twice as long, and nobody should be compared with
it.  A library is described by a dict: name, version, kernels (its own word), generation (one of GENERATIONS, or None
where it cannot be judged), variable and value (of the environment: what makes it pick the right ones).
"""
import ctypes
import os

GENERATIONS = ("SSE", "AVX2", "AVX-512")
OPENBLAS_CORES = {"AVX2": ("haswell", "zen", "excavator"), "AVX-512": ("skylakex", "cooperlake", "sapphirerapids")}
BLIS_CORES = {"AVX2": ("haswell", "zen", "zen2", "zen3"), "AVX-512": ("skx", "zen4", "zen5")}
MKL_WORDS = {"AVX2": ("Vector Extensions 2",), "AVX-512": ("Vector Extensions 512", "Vector Extensions 10")}
# Of the environment, for each library: the variable, and its value for a generation.
REMEDIES = {"OpenBLAS": ("OPENBLAS_CORETYPE", {"AVX2": "Haswell", "AVX-512": "SkylakeX"}),
            "BLIS": ("AOCL_ENABLE_INSTRUCTIONS", {"AVX2": "avx2", "AVX-512": "avx512"}),
            "MKL": ("MKL_ENABLE_INSTRUCTIONS", {"AVX2": "AVX2", "AVX-512": "AVX512"})}


# ---- the processor -------------------------------------------------------------------------------


def cpuinfo(field):
    """The words of the first line of /proc/cpuinfo that begins with `field`."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].split() for line in file if line.startswith(field)), [])


def generation_of(flags):
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
        return "AVX-512"
    if {"avx2", "fma"} <= flags:
        return "AVX2"
    return "SSE" if "sse2" in flags else None  # not an x86: nothing is judged


def processor_generation():
    return generation_of(set(cpuinfo("flags")))


# ---- the libraries -------------------------------------------------------------------------------


def text(function, *arguments):
    function.restype = ctypes.c_char_p
    return function(*arguments).decode()


def first(library, *names):
    return next((getattr(library, name) for name in names if hasattr(library, name)), None)


def belongs(cores, kernels):
    """The generation of kernels whose exact name is known; those of other names are older."""
    return next((generation for generation, names in cores.items() if kernels.lower() in names), "SSE")


class OpenBlas:
    """Builds for Python packages have a prefix, and a suffix where integers have 64 bits."""

    name = "OpenBLAS"

    def __init__(self, library):
        prefix, suffix = next((prefix, suffix) for prefix in ("", "scipy_") for suffix in ("", "64_")
                              if hasattr(library, f"{prefix}openblas_get_corename{suffix}"))
        named = {name: getattr(library, f"{prefix}openblas_{name}{suffix}")
                 for name in ("get_config", "get_corename", "set_num_threads")}
        self.version = text(named["get_config"]).split()[1]
        self.kernels = text(named["get_corename"])
        self.generation = belongs(OPENBLAS_CORES, self.kernels)
        self.set_threads = named["set_num_threads"]


class Mkl:
    """On processors of others MKL has its reasons: what it picks there is what its users have, and not judged."""

    name = "MKL"

    class Version(ctypes.Structure):
        _fields_ = [(name, ctypes.c_int) for name in ("major", "minor", "update")] + \
                   [(name, ctypes.c_char_p) for name in ("status", "build", "processor", "platform")]

    def __init__(self, library):
        version = self.Version()
        first(library, "MKL_Get_Version", "mkl_serv_get_version")(ctypes.byref(version))
        self.version = f"{version.major}.{version.update}"
        self.kernels = version.processor.decode().replace("(R)", "").split(" with ")[0]
        known = next((name for name, words in MKL_WORDS.items() if any(word in self.kernels for word in words)), "SSE")
        self.generation = known if "GenuineIntel" in cpuinfo("vendor_id") else None
        self.set_threads = first(library, "MKL_Set_Num_Threads", "mkl_serv_set_num_threads")


class Blis:
    """The BLAS of AOCL."""

    name = "BLIS"

    def __init__(self, library):
        self.version = text(library.bli_info_get_version_str)
        self.kernels = text(library.bli_arch_string, library.bli_arch_query_id())
        self.generation = belongs(BLIS_CORES, self.kernels)
        self.set_threads = lambda count: library.bli_thread_set_num_threads(ctypes.c_int64(count))


KINDS = {"blas": OpenBlas, "libmkl_rt": Mkl, "libtorch_cpu": Mkl, "libblis": Blis}


def loaded(part):
    """Those in this process whose path has that part; of "" all but NumPy's own, which every process has."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        paths = sorted({line.split()[-1] for line in file if ".so" in line})
    found = []
    for path in paths:
        kind = next((KINDS[name] for name in KINDS if name in os.path.basename(path)), None)
        if kind and part in path and (part or "numpy.libs" not in path):
            try:
                found.append(kind(ctypes.CDLL(path)))
            except (AttributeError, TypeError, StopIteration):  # another library, or too old to be asked
                continue
    return found


# ---- the judgement -------------------------------------------------------------------------------


def describe(library):
    return {"name": library.name, "version": library.version, "kernels": library.kernels,
            "generation": library.generation}


def line(described):
    known = f" ({described['generation']})" if described["generation"] else ""
    return f"{described['name']} {described['version']}, kernels: {described['kernels']}{known}"


def wrong(described, generation):
    """Whether it picked kernels of another generation, and not because somebody told it to."""
    variable = REMEDIES[described["name"]][0]
    return None not in (described["generation"], generation) and described["generation"] != generation and \
        variable not in os.environ


def remedy(described, generation):
    """The variable of the environment and its value."""
    variable, values = REMEDIES[described["name"]]
    return variable, values.get(generation, "")


def refusal(described, generation):
    variable, value = remedy(described, generation)
    return (f"{described['name']} {described['version']} picked its {described['kernels']} kernels "
            f"({described['generation']}) on a processor with {generation}; set {variable}={value}")
