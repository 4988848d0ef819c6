// The documents, by format. Each prints one question's answer; see formats.h.
#pragma once

#include "report/formats.h"

namespace heapwalk {

void write_text_report(const DocumentRequest& request, Output& output);
void write_text_objects(const DocumentRequest& request, Output& output);
void write_text_roots(const DocumentRequest& request, Output& output);
void write_text_leaks(const DocumentRequest& request, Output& output);
void write_text_why(const DocumentRequest& request, Output& output);
void write_text_info(const DocumentRequest& request, Output& output);
void write_text_types(const DocumentRequest& request, Output& output);
void write_text_why_type(const DocumentRequest& request, Output& output);
void write_text_show(const DocumentRequest& request, Output& output);

void write_json_report(const DocumentRequest& request, Output& output);
void write_json_objects(const DocumentRequest& request, Output& output);
void write_json_roots(const DocumentRequest& request, Output& output);
void write_json_leaks(const DocumentRequest& request, Output& output);
void write_json_why(const DocumentRequest& request, Output& output);
void write_json_info(const DocumentRequest& request, Output& output);
void write_json_types(const DocumentRequest& request, Output& output);
void write_json_why_type(const DocumentRequest& request, Output& output);
void write_json_show(const DocumentRequest& request, Output& output);

void write_tsv_report(const DocumentRequest& request, Output& output);
void write_tsv_objects(const DocumentRequest& request, Output& output);
void write_tsv_roots(const DocumentRequest& request, Output& output);
void write_tsv_leaks(const DocumentRequest& request, Output& output);
void write_tsv_why(const DocumentRequest& request, Output& output);
void write_tsv_info(const DocumentRequest& request, Output& output);
void write_tsv_types(const DocumentRequest& request, Output& output);
void write_tsv_why_type(const DocumentRequest& request, Output& output);
void write_tsv_show(const DocumentRequest& request, Output& output);

}  // namespace heapwalk
