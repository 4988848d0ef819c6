#include "heapwalk/runtimes/go/program/variable_rules.h"

namespace heapwalk::go {
namespace {

constexpr Clue kFinalizers[] = {{"runtime.markroot"}, {"runtime.queuefinalizer"}};
constexpr Clue kCleanups[] = {{"runtime.markroot", Field::cleanupQueue_all},
                              {"runtime.freeSpecial"},
                              {"runtime.findRunnable"},
                              {"runtime.(*activeSweep).end"}};
constexpr Clue kFinalizerStatus[] = {
    {"runtime.createfing"},      {"runtime.queuefinalizer"}, {"runtime.isSystemGoroutine"}, {"runtime.findRunnable"},
    {"runtime.finalizercommit"}, {"runtime.runfinq"},        {"runtime.runFinalizers"}};
constexpr Clue kFinalizerRuns[] = {{"runtime.runfinq"}, {"runtime.isSystemGoroutine"}};

constexpr Clue kGoroutines[] = {
    {"runtime.allgadd"}, {"runtime.allgadd", {}, 8}, {"runtime.allgadd", {}, 16}, {"runtime.forEachG"}};
constexpr Clue kThreads[] = {{"runtime.mcommoninit"}, {"runtime.mexit"}};
constexpr Clue kProcessors[] = {{"runtime.procresize"},
                                {"runtime.procresize", {}, 8},
                                {"runtime.procresize", {}, 16},
                                {"runtime.checkdead"},
                                {"runtime.checkdead", {}, 8}};
constexpr Clue kScheduler[] = {{"runtime.findRunnable", Field::schedt_lastpoll},
                               {"runtime.findRunnable", Field::schedt_gcwaiting},
                               {"runtime.stopTheWorldWithSema", Field::schedt_gcwaiting},
                               {"runtime.newproc1", Field::schedt_goidgen}};
constexpr Clue kSemaphores[] = {{"runtime.semacquire1"}, {"runtime.semrelease1"}};
constexpr Clue kWaitReasons[] = {{"runtime.waitReason.String"}};
constexpr Clue kItabTable[] = {{"runtime.getitab"}, {"runtime.itabAdd"}};

constexpr Clue kController[] = {{"runtime.readmemstats_m", Field::gcControllerState_heapInUse},
                                {"runtime.readmemstats_m", Field::gcControllerState_heapReleased},
                                {"runtime.readmemstats_m", Field::gcControllerState_heapFree},
                                {"runtime.readmemstats_m", Field::gcControllerState_totalAlloc},
                                {"runtime.readmemstats_m", Field::gcControllerState_totalFree},
                                {"runtime.readmemstats_m", Field::gcControllerState_mappedReady},
                                {"runtime.gcResetMarkState", Field::gcControllerState_heapLive},
                                {"runtime.gcStart"}};
constexpr Clue kStatistics[] = {
    {"runtime.readmemstats_m", Field::mstats_stacks_sys},     {"runtime.readmemstats_m", Field::mstats_mspan_sys},
    {"runtime.readmemstats_m", Field::mstats_mcache_sys},     {"runtime.readmemstats_m", Field::mstats_buckhash_sys},
    {"runtime.readmemstats_m", Field::mstats_gcMiscSys},      {"runtime.readmemstats_m", Field::mstats_other_sys},
    {"runtime.readmemstats_m", Field::mstats_pause_total_ns}, {"runtime.readmemstats_m", Field::mstats_numgc},
    {"runtime.readmemstats_m", Field::mstats_gc_cpu_fraction}};
constexpr Clue kCollectorWork[] = {{"runtime.gcResetMarkState", Field::workType_bytesMarked},
                                   {"runtime.gcResetMarkState", Field::workType_initialHeapLive}};

constexpr Clue kMemoryBuckets[] = {{"runtime.stkbucket"}, {"runtime.mProf_FlushLocked"}};
constexpr Clue kMutexBuckets119[] = {{"runtime.stkbucket"}, {"runtime.MutexProfile"}};
constexpr Clue kMutexBuckets123[] = {{"runtime.stkbucket"}, {"runtime.mutexProfileInternal"}};
constexpr Clue kBlockBuckets119[] = {{"runtime.stkbucket"}, {"runtime.BlockProfile"}};
constexpr Clue kBlockBuckets123[] = {{"runtime.stkbucket"}, {"runtime.blockProfileInternal"}};
constexpr Clue kProfileCycle[] = {
    {"runtime.mProf_Malloc"}, {"runtime.mProf_Free"}, {"runtime.mProf_Flush"}, {"runtime.mProf_PostSweep"}};
constexpr Clue kProfileRate119[] = {{"runtime.profilealloc"}, {"runtime.allocmcache"}, {"runtime.init"}};
constexpr Clue kProfileRate120[] = {{"runtime.profilealloc"}, {"runtime.allocmcache"}, {"runtime.schedinit"}};
constexpr Clue kProfileRate119b[] = {{"runtime.nextSample"}, {"runtime.init"}};  // where nothing is inlined
constexpr Clue kProfileRate120b[] = {{"runtime.nextSample"}, {"runtime.schedinit"}};
constexpr Clue kProfileSwitch119[] = {{"runtime.init", {}, 0, "runtime.MemProfileRate"}};
constexpr Clue kProfileSwitch119b[] = {{"runtime.defaultMemProfileRate"}};  // where nothing is inlined
constexpr Clue kProfileSwitch120[] = {{"runtime.schedinit", {}, 0, "runtime.MemProfileRate"}};
constexpr Clue kMutexRate119[] = {{"runtime.semacquire1"}, {"sync.event"}, {"runtime.(*lockTimer).begin"}};
constexpr Clue kMutexRate125[] = {{"runtime.semacquire1"}, {"runtime.(*mLockProfile).storeSlow"}};
constexpr Clue kBlockRate[] = {
    {"runtime.chansend"}, {"runtime.chanrecv"}, {"runtime.blockevent"}, {"runtime.semacquire1"}};
constexpr Clue kClock119[] = {{"runtime.tickspersecond"}, {"runtime.tickspersecond", Field::ticksType_val}};
constexpr Clue kClock122[] = {{"runtime.(*ticksType).init"},
                              {"runtime.schedinit"},
                              {"runtime.ticksPerSecond"},
                              {"runtime.ticksPerSecond", Field::ticksType_val}};
constexpr Clue kSettings[] = {{"runtime.parsegodebug"},
                              {"runtime.reparsedebugvars"},
                              {"runtime.parsedebugvars"},
                              {"runtime.parseRuntimeDebugVars"}};
constexpr Clue kFusedMultiply[] = {{"math.archExp"}};

constexpr int kNewest = kLastMinor;

constexpr VariableRule kRules[] = {
    // What roots, goroutines and types need.
    {"runtime.allfin", 19, kNewest, Place::plain, 8, kFinalizers, proves_finalizer_queue},
    {"runtime.gcCleanups", 25, kNewest, Place::mixed, 8, kCleanups, proves_cleanup_queue},
    {"runtime.fingRunning", 19, 19, Place::plain, 1, kFinalizerRuns, proves_flag},
    {"runtime.fingStatus", 20, kNewest, Place::plain, 4, kFinalizerStatus, proves_finalizer_status},
    {"runtime.allgs", 19, kNewest, Place::pointer, 8, kGoroutines, proves_goroutines},
    {"runtime.allm", 19, kNewest, Place::pointer, 8, kThreads, proves_threads},
    {"runtime.allp", 19, kNewest, Place::pointer, 8, kProcessors, proves_processors},
    {"runtime.sched", 19, kNewest, Place::mixed, 8, kScheduler, proves_scheduler},
    {"runtime.semtable", 19, kNewest, Place::mixed, 8, kSemaphores, proves_semaphores},
    {"runtime.waitReasonStrings", 19, kNewest, Place::pointer, 8, kWaitReasons, proves_wait_reasons},
    {"runtime.itabTable", 19, kNewest, Place::pointer, 8, kItabTable, proves_itab_table},
    // What the run-time counts.
    {"runtime.gcController", 19, kNewest, Place::plain, 8, kController, proves_controller},
    {"runtime.memstats", 19, kNewest, Place::plain, 8, kStatistics, proves_statistics},
    {"runtime.work", 19, kNewest, Place::mixed, 8, kCollectorWork, proves_collector_work},
    // Its profiles.
    {"runtime.mbuckets", 19, kNewest, Place::pointer, 8, kMemoryBuckets, proves_memory_buckets},
    {"runtime.xbuckets", 19, 22, Place::pointer, 8, kMutexBuckets119, proves_mutex_buckets},
    {"runtime.xbuckets", 23, kNewest, Place::pointer, 8, kMutexBuckets123, proves_mutex_buckets},
    {"runtime.bbuckets", 19, 22, Place::pointer, 8, kBlockBuckets119, proves_block_buckets},
    {"runtime.bbuckets", 23, kNewest, Place::pointer, 8, kBlockBuckets123, proves_block_buckets},
    {"runtime.mProfCycle", 19, kNewest, Place::plain, 4, kProfileCycle, proves_profile_cycle},
    {"runtime.MemProfileRate", 19, 19, Place::plain, 8, kProfileRate119, proves_count},
    {"runtime.MemProfileRate", 20, kNewest, Place::plain, 8, kProfileRate120, proves_count},
    {"runtime.MemProfileRate", 19, 19, Place::plain, 8, kProfileRate119b, proves_count},
    {"runtime.MemProfileRate", 20, kNewest, Place::plain, 8, kProfileRate120b, proves_count},
    {"runtime.disableMemoryProfiling", 19, 19, Place::anywhere, 1, kProfileSwitch119, proves_profile_switch},
    {"runtime.disableMemoryProfiling", 19, 19, Place::anywhere, 1, kProfileSwitch119b, proves_profile_switch},
    {"runtime.disableMemoryProfiling", 20, kNewest, Place::anywhere, 1, kProfileSwitch120, proves_profile_switch},
    {"runtime.mutexprofilerate", 19, 24, Place::plain, 8, kMutexRate119, proves_count},
    {"runtime.mutexprofilerate", 25, kNewest, Place::plain, 8, kMutexRate125, proves_count},
    {"runtime.blockprofilerate", 19, kNewest, Place::plain, 8, kBlockRate, proves_count},
    {"runtime.ticks", 19, 21, Place::plain, 8, kClock119, proves_count},
    {"runtime.ticks", 22, kNewest, Place::plain, 8, kClock122, proves_count},
    {"runtime.debug", 23, kNewest, Place::pointer, 8, kSettings, proves_settings, settings_of},
    {"math.useFMA", 19, kNewest, Place::plain, 1, kFusedMultiply, proves_flag},
};

}  // namespace

std::span<const VariableRule> variable_rules() {
  return kRules;
}

}  // namespace heapwalk::go
