#include "heapwalk/cli/progress.h"

#include <cstdio>

#include <fmt/format.h>

namespace heapwalk::cli {
namespace {

constexpr std::chrono::seconds kQuietTime{1};

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

Progress::Progress(bool enabled, bool is_terminal) : enabled_(enabled), is_terminal_(is_terminal) {
  if (enabled_ && is_terminal_) thread_ = std::thread([this] { run(); });
}

Progress::~Progress() {
  finish();
}

void Progress::start_stage(std::string_view name) {
  if (!enabled_) return;
  std::lock_guard lock(mutex_);
  end_stage();
  stage_ = name;
  start_ = Clock::now();
}

void Progress::finish() {
  if (!enabled_) return;
  {
    std::lock_guard lock(mutex_);
    end_stage();
    stopping_ = true;
    if (line_shown_) put("\r\x1b[K");
    line_shown_ = false;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  enabled_ = false;
}

void Progress::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kQuietTime, [this] { return stopping_; })) {
    if (!stage_.empty() && Clock::now() - start_ >= kQuietTime) show_line();
  }
}

void Progress::end_stage() {
  bool was_long = !stage_.empty() && Clock::now() - start_ >= kQuietTime;
  if (was_long && !is_terminal_) put(fmt::format("heapwalk: {}: {:.1f} s\n", stage_, seconds()));
  stage_.clear();
}

void Progress::show_line() {
  put(fmt::format("\r\x1b[Kheapwalk: {} … {:.0f} s", stage_, seconds()));
  line_shown_ = true;
}

}  // namespace heapwalk::cli
