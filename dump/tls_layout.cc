#include "dump/tls_layout.h"

#include <algorithm>
#include <string_view>

#include "dump/elf_image.h"

namespace heapwalk {
namespace {

constexpr uint64_t kMaxStructBytes = 1 << 16;

// The offset of a link_map field that glibc describes; nullopt when no module has the descriptor.
std::optional<uint64_t> described_offset(std::span<const Module> modules, std::string_view descriptor) {
  for (const Module& module : modules) {
    if (module.image == nullptr || !module.in_link_map) continue;
    if (!module.name.starts_with("libc.") && !module.name.starts_with("libpthread") &&
        !module.name.starts_with("libc-")) {
      continue;
    }
    const Symbol* symbol = module.symbols.find_by_name(descriptor);
    if (symbol == nullptr) continue;
    ByteReader words(module.image->read(symbol->link_address, 12));
    auto bits = words.read<uint32_t>();
    auto count = words.read<uint32_t>();
    auto offset = words.read<uint32_t>();
    if (bits && count && offset && *bits == 64 && *count == 1 && *offset < kMaxStructBytes) return *offset;
  }
  return std::nullopt;
}

// The block of the first module: Drepper's variant II below the thread pointer, variant I above it.
uint64_t first_block_offset(const TlsTemplate& tls, Architecture architecture) {
  uint64_t alignment = std::max<uint64_t>(tls.alignment, 1);
  auto round_up = [&](uint64_t value) { return (value + alignment - 1) & ~(alignment - 1); };
  if (architecture == Architecture::aarch64) return round_up(16);
  uint64_t skew = (0 - tls.link_address) & (alignment - 1);
  return round_up(tls.size_bytes - std::min(skew, tls.size_bytes)) + skew;
}

}  // namespace

void find_tls_layout(const AddressSpace& memory, Architecture architecture, std::span<const Address> link_maps,
                     std::span<Module> modules) {
  auto id_offset = described_offset(modules, "_thread_db_link_map_l_tls_modid");
  auto block_offset = described_offset(modules, "_thread_db_link_map_l_tls_offset");
  for (size_t i = 0; i < modules.size(); ++i) {
    std::optional<TlsTemplate>& slot = modules[i].tls;
    if (!slot) continue;
    TlsTemplate& tls = *slot;
    if (modules[i].is_executable) {
      tls.module_id = 1;
      tls.static_offset = first_block_offset(tls, architecture);
    }
    if (!link_maps[i]) continue;
    if (auto id = id_offset ? memory.read_word(link_maps[i] + *id_offset) : std::nullopt) tls.module_id = *id;
    if (auto offset = block_offset ? memory.read_word(link_maps[i] + *block_offset) : std::nullopt) {
      // 0: no block yet (NO_TLS_OFFSET); −1 and −2: dynamic for ever (FORCED_DYNAMIC_TLS_OFFSET).
      tls.static_offset = offset;
      if (*offset == 0 || *offset >= UINT64_MAX - 1) tls.static_offset.reset();
    }
  }
}

}  // namespace heapwalk
