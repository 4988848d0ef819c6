#include "report/process_facts.h"

#include <csignal>
#include <cstring>
#include <ctime>

#include <fmt/format.h>

namespace heapwalk {

std::string signal_name(int signal) {
  if (signal == 0) return {};
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

std::string format_utc_time(int64_t seconds) {
  time_t time = seconds;
  tm parts{};
  char text[64];
  if (gmtime_r(&time, &parts) == nullptr) return {};
  size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

std::string_view edge_name(EdgeKind kind) {
  switch (kind) {
    case EdgeKind::exact:
      return "exact";
    case EdgeKind::conservative:
      return "conservative";
    case EdgeKind::tainted:
      return "tainted";
  }
  return "conservative";
}

std::string format_address(Address address) {
  return fmt::format("{:#x}", address.value);
}

}  // namespace heapwalk
