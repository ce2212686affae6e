// SPDX-License-Identifier: BSD-3-Clause
// A variable that is declared __shared__ is a static one with a tag in its name (simt.hpp).  Its name begins with that of
// its function, and the table of symbols of the program, or of the library that has the kernel, says where it is and how
// large.  Without such a table nothing is found, and nothing filled.
#include "static_shared.hpp"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <map>
#include <stdint.h>
#include <string.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace simt {

namespace {

struct Variable {
  std::string name;
  size_t place, bytes; // from the start of the module, or of its thread-local memory
  bool thread_local_;
};

struct Module {
  uintptr_t base = 0;
  std::map<uintptr_t, std::string> functions; // by address
  std::vector<Variable> variables;
};

// A file of which the pages are there as long as the object.
class File {
public:
  explicit File(const char *path) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file >= 0 && !fstat(file, &status)) {
      bytes_ = static_cast<size_t>(status.st_size);
      void *p = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, file, 0);
      data_ = p == MAP_FAILED ? nullptr : static_cast<const char *>(p);
    }
    if (file >= 0)
      close(file);
  }
  ~File() {
    if (data_)
      munmap(const_cast<char *>(data_), bytes_);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  template <class T> const T *at(size_t offset) const {
    return data_ && offset + sizeof(T) <= bytes_ ? reinterpret_cast<const T *>(data_ + offset) : nullptr;
  }

private:
  const char *data_ = nullptr;
  size_t bytes_ = 0;
};

const char tag[] = "B10simtshared";

void add_symbol(const ElfW(Sym) & symbol, const char *name, Module *to) {
  const unsigned type = symbol.st_info & 0xf;
  if (type == STT_FUNC && symbol.st_value)
    to->functions[to->base + symbol.st_value] = name;
  else if ((type == STT_OBJECT || type == STT_TLS) && strstr(name, tag) && strncmp(name, "_ZGV", 4))
    to->variables.push_back({name, symbol.st_value, symbol.st_size, type == STT_TLS});
}

void read_symbols(const char *path, Module *to) {
  const File file(path);
  const auto *header = file.at<ElfW(Ehdr)>(0);
  for (size_t i = 0; header && i < header->e_shnum; i++) {
    const auto *section = file.at<ElfW(Shdr)>(header->e_shoff + i * header->e_shentsize);
    if (!section || section->sh_type != SHT_SYMTAB)
      continue;
    const auto *names = file.at<ElfW(Shdr)>(header->e_shoff + section->sh_link * header->e_shentsize);
    for (size_t s = 0; names && s < section->sh_size / sizeof(ElfW(Sym)); s++)
      if (const auto *symbol = file.at<ElfW(Sym)>(section->sh_offset + s * sizeof(ElfW(Sym))))
        if (const char *name = file.at<char>(names->sh_offset + symbol->st_name))
          add_symbol(*symbol, name, to);
  }
}

// The module that holds an address: where it is, its file, and the memory of the thread that asks.
struct Search {
  uintptr_t address, base, thread_memory;
  const char *path;
};

int look_into(struct dl_phdr_info *info, size_t, void *data) {
  Search &search = *static_cast<Search *>(data);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &part = info->dlpi_phdr[i];
    if (part.p_type == PT_LOAD && search.address - info->dlpi_addr - part.p_vaddr < part.p_memsz) {
      search.base = info->dlpi_addr;
      search.thread_memory = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
      search.path = *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
      return 1;
    }
  }
  return 0;
}

Search find_module(const void *address) {
  Search search = {reinterpret_cast<uintptr_t>(address), 0, 0, nullptr};
  dl_iterate_phdr(look_into, &search);
  return search;
}

const Module &module_at(const Search &search) {
  static auto &all = *new std::map<uintptr_t, Module>;
  auto at = all.find(search.base);
  if (at == all.end()) {
    at = all.insert({search.base, {}}).first;
    at->second.base = search.base;
    read_symbols(search.path, &at->second);
  }
  return at->second;
}

bool begins_with(const std::string &text, const std::string &start) {
  return !start.empty() && !text.compare(0, start.size(), start);
}

struct Kernel {
  std::string start; // of the names of its variables
  size_t bytes;      // of these
};

// The kernels that there are.
std::map<const void *, Kernel> &kernels() {
  static auto &all = *new std::map<const void *, Kernel>;
  return all;
}

Kernel describe(const void *kernel) {
  Kernel made = {"", 0};
  const Search search = find_module(kernel);
  if (!search.path)
    return made;
  const Module &module = module_at(search);
  auto at = module.functions.find(search.address);
  if (at == module.functions.end())
    return made;
  made.start = "_ZZ" + at->second.substr(2) + "E"; // that of the kernel is _Z...
  for (const Variable &variable : module.variables)
    if (begins_with(variable.name, made.start))
      made.bytes += variable.bytes;
  return made;
}

bool is_of_another(const Variable &variable, const void *kernel) {
  for (const auto &[address, other] : kernels())
    if (address != kernel && begins_with(variable.name, other.start))
      return true;
  return false;
}

// Variables to fill for each kernel, as long as no further kernel is there.
const std::vector<const Variable *> &variables_of(const Module &module, const void *kernel) {
  static auto &all = *new std::map<const void *, std::vector<const Variable *>>;
  static size_t known;
  if (known != kernels().size())
    all.clear();
  known = kernels().size();
  auto [at, is_new] = all.insert({kernel, {}});
  for (const Variable &variable : module.variables)
    if (is_new && !is_of_another(variable, kernel))
      at->second.push_back(&variable);
  return at->second;
}

} // namespace

void note_kernel(const void *kernel) {
  if (!kernels().count(kernel))
    kernels()[kernel] = describe(kernel);
}

size_t static_shared_bytes(const void *kernel) {
  note_kernel(kernel);
  return kernels()[kernel].bytes;
}

void poison_static_shared(const void *kernel) {
  const Search search = find_module(kernel);
  if (!search.path)
    return;
  for (const Variable *variable : variables_of(module_at(search), kernel)) {
    // One byte after the other: the sanitizers see, and report, memset().
    auto *p = reinterpret_cast<volatile unsigned char *>(
        (variable->thread_local_ ? search.thread_memory : search.base) + variable->place);
    for (size_t i = 0; i < variable->bytes; i++)
      p[i] = 0xFF;
  }
}

} // namespace simt
