#include "text/tokenizer/encoder.h"

#include "base/error.h"

namespace hearth::text {

std::unique_ptr<const Encoder> make_encoder(const Lexicon& lexicon) {
  switch (lexicon.family) {
    case Family::byte_bpe: return make_byte_bpe(lexicon);
    case Family::mark_bpe: return make_mark_bpe(lexicon);
    case Family::spm: return make_spm(lexicon);
    case Family::wordpiece: return make_wordpiece(lexicon);
    case Family::unigram: return make_unigram(lexicon);
    case Family::rwkv: return make_rwkv(lexicon);
  }
  throw Error(Code::unsupported, "a tokenizer family without an encoder", "report this");
}

}  // namespace hearth::text
