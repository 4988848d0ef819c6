// What a container does not use any more holds nothing: the program forgets a block that it took out of a container, and
// its only reference is the container's stale word.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

constexpr std::string_view kRust = R"(
use std::collections::{HashMap, VecDeque};
struct Block { bytes: [u8; 400] }
enum Slot { Empty, Number(u64), Held(Box<Block>) }
static mut QUEUE: Option<Box<VecDeque<Box<Block>>>> = None;
static mut TABLE: Option<Box<HashMap<u64, Box<Block>>>> = None;
static mut SLOTS: Option<Box<Vec<Slot>>> = None;
fn block() -> Box<Block> { Box::new(Block { bytes: [7; 400] }) }
fn say(name: &str, block: &Block) { println!("{name} {:p}", block); }
#[inline(never)]
fn fill() {
    let mut queue: VecDeque<Box<Block>> = (0..8).map(|_| block()).collect();
    for _ in 0..3 { let old = queue.pop_front().unwrap(); say("stale", &old); std::mem::forget(old); }
    queue.push_back(block());
    for each in &queue { say("held", each); }
    let mut table: HashMap<u64, Box<Block>> = (0..20).map(|i| (i, block())).collect();
    for i in 0..5 { let old = table.remove(&i).unwrap(); say("stale", &old); std::mem::forget(old); }
    for each in table.values() { say("held", each); }
    let mut slots: Vec<Slot> = (0..6).map(|_| Slot::Held(block())).collect();
    for (i, slot) in slots.iter_mut().enumerate() {
        if let Slot::Held(each) = slot { say(if i % 2 == 0 { "stale" } else { "held" }, each); }
        if i % 2 != 0 { continue; }
        unsafe { *(slot as *mut Slot as *mut u64) = 0; } // the tag: what was held stays behind
    }
    if slots.len() > 100 { slots.push(Slot::Number(1)); slots.push(Slot::Empty); }
    for slot in &slots { if let Slot::Number(n) = slot { eprintln!("{n}"); } }
    unsafe { QUEUE = Some(Box::new(queue)); TABLE = Some(Box::new(table)); SLOTS = Some(Box::new(slots)); }
}
#[inline(never)]
fn scrub() -> u64 { std::hint::black_box([0u64; 4096]).iter().sum() }
fn main() {
    fill();
    println!("bytes {} {}", block().bytes[0], scrub());
    std::process::abort();
}
)";

constexpr std::string_view kCxx = R"(
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
struct Block { char bytes[400]; };
std::deque<Block*>* g_queue;
struct Ticket { Block* block; long number; };
std::deque<Ticket>* g_tickets;
[[gnu::noinline]] void fill() {
  g_queue = new std::deque<Block*>;
  g_tickets = new std::deque<Ticket>;
  for (int i = 0; i < 8; ++i) {
    g_queue->push_back(new Block);
    g_tickets->push_back({new Block, i});
  }
  for (int i = 0; i < 3; ++i) {
    printf("stale %p\n", static_cast<void*>(g_queue->front()));
    g_queue->pop_front();
    printf("stale %p\n", static_cast<void*>(g_tickets->back().block));
    g_tickets->pop_back();
  }
  for (Block* each : *g_queue) printf("held %p\n", static_cast<void*>(each));
  for (Ticket& each : *g_tickets) printf("held %p\n", static_cast<void*>(each.block));
  fflush(stdout);
}
[[gnu::noinline]] void scrub() {
  volatile long room[4096];
  for (volatile long& each : room) each = 0;
}
int main() {
  fill();
  scrub();
  abort();
}
)";

// Every block that the program names: "held" ones are reachable by what types say, "stale" ones by stale words at best.
void check(const std::string& program) {
  const ProgramRun run({.arguments = {program}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  std::istringstream lines(run.output());
  std::string state, address;
  size_t held = 0, stale = 0;
  while (lines >> state >> address) {
    if (state != "held" && state != "stale") continue;
    (state == "held" ? held : stale) += 1;
    const CommandOutput shown = run_heapwalk({"show", run.core_path(), program, "--address", address});
    ASSERT_EQ(shown.status, 0) << shown.err;
    const bool is_held = shown.out.find("\n  reachable;") != std::string::npos;
    EXPECT_EQ(is_held, state == "held") << state << " " << shown.out.substr(0, 400);
  }
  EXPECT_GE(held, 10U);
  EXPECT_GE(stale, 6U);
}

TEST(StaleElements, OfRustContainersHoldNothing) {
  if (run_command({"rustc", "--version"}).status != 0) GTEST_SKIP() << "no rustc on this machine";
  const TemporaryDirectory directory;
  const std::string source = directory.write("program.rs", std::string(kRust));
  const std::string program = directory.file("program");
  ASSERT_TRUE(run_tool({"rustc", "-g", "-Astatic_mut_refs", "-Adead_code", source, "-o", program}));
  check(program);
}

TEST(StaleElements, OfDequesHoldNothing) {
  HEAPWALK_NEEDS_COMPILER();
  const TemporaryDirectory directory;
  check(compile_cxx(directory, "program", kCxx, {"-g", "-O1", "-std=c++17"}));
}

}  // namespace
}  // namespace heapwalk::test
