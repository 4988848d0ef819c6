// Blocks of which nothing is known but that they are text: the strings of programs that keep them behind `void*`, or with a
// header of their own in front.
//
//     [ header, up to 24 bytes ][ value of user 4711 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx NUL ][ what malloc rounded up ]
//
// One row "[text] 40 MB" tells a person more than a row for each size. It is a name and no evidence: nothing follows from it.
#pragma once

#include "dump/base/byte_reader.h"

namespace heapwalk {

// Whether printable ASCII, ended by a NUL or the block's end, makes up most of the block. `block`: its first bytes, as many as are known.
bool is_text_block(Bytes block, uint64_t size_bytes);

}  // namespace heapwalk
