// Reads the debug info of one file as heapwalk does for a module of a core, and says what it took, as one line of JSON.
//
//     debug_info_bench FILE THREADS [CACHE-DIR]
//
// tests/bench/debug_info runs it and watches its memory from outside.
#include <elf.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "dump/elf_image.h"
#include "dwarf/type_cache.h"

namespace heapwalk {
namespace {

// As find_modules() makes it of a file that is loaded where it was linked.
Module module_of(const std::shared_ptr<const ElfImage>& image) {
  Module module;
  module.path = image->path();
  module.build_id = image->build_id();
  module.image = image;
  Diagnostics ignored;
  module.symbols = SymbolTable(image->read_symbols(ignored));
  for (const ElfSegment& segment : image->segments()) {
    if (segment.type == PT_LOAD) {
      ModuleSegment& each = module.segments.emplace_back();
      each.range = AddressRange::of(Address{segment.link_address}, segment.memory_size);
    } else if (segment.type == PT_TLS) {
      module.tls = TlsTemplate{segment.memory_size, segment.alignment, segment.link_address, 1, std::nullopt};
    }
  }
  return module;
}

int run(const std::string& path, size_t threads, const std::string& cache_dir) {
  const auto start = std::chrono::steady_clock::now();
  auto image = ElfImage::open(path);
  if (!image) {
    fmt::print(stderr, "{}\n", image.error().message);
    return 1;
  }
  const Module module = module_of(*image);
  TypeTableBuilder types;
  Diagnostics losses;
  CoreOptions options;
  options.cache_dir = cache_dir;
  const VariableTable variables = read_debug_info_cached(module, threads, types, losses, options);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  size_t fields = 0;
  for (uint32_t i = 0; i < types.table().size(); ++i) fields += types.table().fields(TypeId{i}).size();
  fmt::print(R"({{"seconds": {:.3f}, "user": {:.3f}, "system": {:.3f}, "types": {}, "fields": {}, "variables": {}, )"
             R"("losses": {}}})"
             "\n",
             wall.count(), seconds(usage.ru_utime), seconds(usage.ru_stime), types.table().size(), fields,
             variables.size(), losses.all().size());
  for (const Diagnostic& loss : losses.all()) fmt::print(stderr, "{}: {}\n", loss.code, loss.text);
  return 0;
}

}  // namespace
}  // namespace heapwalk

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "debug_info_bench FILE THREADS [CACHE-DIR]\n");
    return 2;
  }
  return heapwalk::run(argv[1], std::strtoul(argv[2], nullptr, 10), argc > 3 ? argv[3] : "");
}
