// Modules of files that a test compiled, as find_modules() makes them of files in a core.
#pragma once

#include <elf.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "dump/elf_image.h"
#include "dump/module.h"

namespace heapwalk::test {

constexpr uint64_t kBias = 0x10000000;

// A module as find_modules() makes it of a file loaded at kBias.
inline Module module_of(std::shared_ptr<const ElfImage> image, std::shared_ptr<const ElfImage> debug_image = nullptr) {
  Module module;
  module.path = image->path();
  module.bias = kBias;
  Diagnostics ignored;
  module.symbols = SymbolTable(image->read_symbols(ignored));
  for (const ElfSegment& segment : image->segments()) {
    if (segment.type == PT_LOAD) {
      module.segments.push_back({AddressRange::of(module.to_runtime(segment.link_address), segment.memory_size),
                                 {},
                                 0,
                                 (segment.flags & PF_W) != 0,
                                 (segment.flags & PF_X) != 0,
                                 false});
    }
    if (segment.type == PT_TLS) module.tls = TlsTemplate{segment.memory_size, 1, segment.link_address, 1, std::nullopt};
  }
  module.image = std::move(image);
  module.debug_image = std::move(debug_image);
  return module;
}

inline std::shared_ptr<const ElfImage> open_image(const std::string& path) {
  auto image = ElfImage::open(path);
  if (!image) {
    ADD_FAILURE() << image.error().message;
    return nullptr;
  }
  return *image;
}

}  // namespace heapwalk::test
