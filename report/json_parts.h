// Pieces that several JSON documents share.
#pragma once

#include <span>
#include <string_view>

#include "heapwalk/analysis.h"
#include "report/json_writer.h"

namespace heapwalk {

void begin_document(JsonWriter& json);  // { "schema": "heapwalk/1"
void end_document(JsonWriter& json);

void write_core(const CoreDump& dump, JsonWriter& json);
void write_roots(std::span<const RootRow> roots, JsonWriter& json);
void write_owners(std::span<const OwnerRow> owners, JsonWriter& json);
void write_leaks(std::span<const LeakRow> leaks, JsonWriter& json);
void write_steps(std::string_view name, std::span<const PathStep> steps, JsonWriter& json);
void write_path(const RootPath& path, JsonWriter& json);  // members of an object that is open
void write_types(std::span<const TypeRow> types, JsonWriter& json);
void write_containers(std::span<const ContainerRow> containers, JsonWriter& json);
void write_evidence(const EvidenceBytes& evidence, JsonWriter& json);
void write_diagnostics(const Diagnostics& diagnostics, JsonWriter& json);

}  // namespace heapwalk
