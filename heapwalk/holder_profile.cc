#include "heapwalk/holder_profile.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "heapwalk/path_description.h"
#include "heapwalk/readable_names.h"
#include "heapwalk/sample_paths.h"
#include "heapwalk/site_rows.h"

namespace heapwalk {
namespace {

constexpr size_t kMaxSamples = 16'000;  // more than some servers take
constexpr size_t kMaxPathTexts = 1'000;
constexpr const char* kOther = "(other)";

struct Row {
  uint32_t site = 0, holder = 0;
  uint32_t type = 0, line = 0;  // of paths; kNone: not told apart
  uint64_t samples = 0;
  uint64_t bytes = 0;  // sampled
};
constexpr uint32_t kNone = UINT32_MAX;

class HolderProfile {
 public:
  HolderProfile(const Analysis& analysis, const SampledObjects& sampled)
      : analysis_(analysis), sampled_(sampled), holders_(analysis), paths_(analysis, holders_) {}

  OwnProfile make() {
    collect();
    // Paths are told apart first to last, then types, until it fits; a holder is never lost.
    if (rows_.size() > kMaxSamples) fold([](Row& row) { row.line = kNone; });
    if (rows_.size() > kMaxSamples) fold([](Row& row) { row.type = kNone; });
    choose_paths();
    OwnProfile profile = sampled_.frames;
    profile.sample_types = {{"inuse_objects", "count"}, {"inuse_space", "bytes"}};
    profile.default_sample_type = "inuse_space";
    std::optional<ShareEstimator> shares;
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (i == 0 || rows_[i - 1].site != rows_[i].site) shares.emplace(sampled_, rows_[i].site);
      profile.samples.push_back(sample_of(rows_[i], shares->add(rows_[i].samples)));
    }
    return profile;
  }

 private:
  // By site and holder in the order of group_samples(), so that shares are those of the report's rows.
  void collect() {
    for (const HeldSamples& group : group_samples(analysis_, sampled_, holders_)) {
      std::map<std::pair<uint32_t, uint32_t>, size_t> known;
      for (NodeId object : group.objects) {
        const bool exists = object != kNoNode;
        const uint32_t type =
            exists ? analysis_.types->type_of(analysis_.objects, analysis_.graph.object_of(object)).type : kNone;
        const uint32_t line = exists ? paths_.line_of(object) : kNone;
        const auto [at, is_new] = known.try_emplace({type, line}, rows_.size());
        if (is_new) rows_.push_back({group.site, group.holder, type, line, 0, 0});
        rows_[at->second].samples += 1;
        rows_[at->second].bytes += sampled_.sites[group.site].size_bytes;
      }
    }
  }

  // Makes one of rows of a site and holder that `forget` makes equal: the lightest first, as many as have to go.
  template <class Forget>
  void fold(Forget forget) {
    std::vector<size_t> by_weight(rows_.size());
    for (size_t i = 0; i < rows_.size(); ++i) by_weight[i] = i;
    std::ranges::stable_sort(by_weight, std::greater{}, [&](size_t i) { return rows_[i].bytes; });
    // What is forgotten leaves a row per site and holder, half of the room is for them.
    for (size_t rank = kMaxSamples / 2; rank < by_weight.size(); ++rank) forget(rows_[by_weight[rank]]);
    std::vector<Row> folded;
    std::map<std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>, size_t> known;
    for (const Row& row : rows_) {
      const auto [at, is_new] = known.try_emplace({row.site, row.holder, row.type, row.line}, folded.size());
      if (is_new) {
        folded.push_back(row);
        continue;
      }
      folded[at->second].samples += row.samples;
      folded[at->second].bytes += row.bytes;
    }
    rows_ = std::move(folded);
  }

  // To put a path into words takes time: for the heaviest ones.
  void choose_paths() {
    std::unordered_map<uint32_t, uint64_t> weights;
    for (const Row& row : rows_)
      if (row.line != kNone) weights[row.line] += row.bytes;
    std::vector<std::pair<uint64_t, uint32_t>> lines;
    for (const auto& [line, bytes] : weights) lines.emplace_back(bytes, line);
    std::ranges::sort(lines, [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    if (lines.size() > kMaxPathTexts) lines.resize(kMaxPathTexts);
    for (const auto& [bytes, line] : lines) path_texts_[line] = paths_.text(line);
  }

  OwnProfile::Sample sample_of(const Row& row, std::pair<int64_t, int64_t> values) const {
    OwnProfile::Sample sample;
    const SampledObjects::Site& site = sampled_.sites[row.site];
    sample.locations = site.locations;
    sample.values = {values.first, values.second};
    const auto path = path_texts_.find(row.line);
    sample.labels = {
        {"holder", readable_type_name(holders_.name(row.holder))},
        {"type", row.type == kNone ? kOther : readable_type_name(analysis_.types->name(row.type))},
        {"path", path == path_texts_.end() || path->second.empty() ? kOther : path->second},
        {"bytes", "", static_cast<int64_t>(site.size_bytes)},
    };
    return sample;
  }

  const Analysis& analysis_;
  const SampledObjects& sampled_;
  Holders holders_;
  SamplePaths paths_;
  std::vector<Row> rows_;  // by site, then holder
  std::unordered_map<uint32_t, std::string> path_texts_;
};

}  // namespace

Result<OwnProfile> make_holder_profile(const Analysis& analysis, Diagnostics& diagnostics) {
  for (const auto& runtime : analysis.runtimes) {
    const auto sampled = runtime->sampled_objects(diagnostics);
    if (!sampled) return std::unexpected(sampled.error());
    return HolderProfile(analysis, *sampled).make();
  }
  return fail("{}: no run-time that samples its allocations is in this process (known: Go)", analysis.dump->path);
}

}  // namespace heapwalk
