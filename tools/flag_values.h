// What a flag's value may be: numbers within a range, sizes, texts that say something. Each refusal
// is one sentence.
#pragma once
#include <cstdint>

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace graft::tools {

// Decimal digits only: neither a sign nor "0x" nor a fraction. For transform(): what is handed on
// has no leading zeros, which would be read as octal.
CLI::Validator whole_number(uint64_t least, uint64_t most);

// "224", or height and width as "64x192".
CLI::Validator image_sides(uint64_t least, uint64_t most);

// A finite decimal number; what is smaller than a double can be, but not 0, is refused too.
CLI::Validator real_number(double least, double most);
CLI::Validator real_number_above(double bound, double most);

// Bytes, or K, M, G, T behind the number (1024-based; "KB" and "KiB" are the same), at most 64 TiB.
// For transform().
CLI::Validator size_in_bytes(uint64_t least);

// Every option of every verb that takes a value refuses one that is empty or white space.
void refuse_blank_values(CLI::App& app);

}  // namespace graft::tools
