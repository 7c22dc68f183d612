// Activations as bytes: per 32 columns the largest magnitude becomes 127. A row has four bytes a word, then a float per 32
// columns, padded to whole uvec4.
uint rounded_words(uint cols) { return cols / 4u + (cols / 32u + 3u) / 4u * 4u; }

float largest(vec4 v) { return max(max(abs(v.x), abs(v.y)), max(abs(v.z), abs(v.w))); }
float factor_of(float most) { return most > 0.0 ? 127.0 / most : 0.0; }
uint bytes_of(vec4 v, float factor) {
  const uvec4 q = uvec4(ivec4(clamp(roundEven(v * factor), -127.0, 127.0))) & 255u;
  return q.x | (q.y << 8) | (q.z << 16) | (q.w << 24);
}
