// Pairs of a row and one of its experts, put together by expert, so that prompts are multiplied expert by expert. One work
// group. Output, from groups_at: the list of pairs, the number of tiles, and per tile its expert, where in the list it
// begins, and how many pairs it has (64 at most). The order within an expert is any: no result depends on it.
layout(local_size_x = 128) in;
layout(binding = 1) readonly buffer Route { float route[]; };
layout(binding = 2) buffer Groups { uint groups[]; };
layout(push_constant) uniform Push { uint experts, used, route_at, groups_at, row_base, pairs; };
const uint MOST = 1024, TILE = 64;  // experts; weights.cpp refuses more
shared uint places[MOST];

uint expert_of(uint pair) { return min(uint(route[route_at + (row_base + pair / used) * 2u * used + pair % used]), experts - 1u); }

void main() {
  const uint t = gl_LocalInvocationID.x;
  for (uint e = t; e < experts; e += 128u) places[e] = 0u;
  barrier();
  for (uint p = t; p < pairs; p += 128u) atomicAdd(places[expert_of(p)], 1u);
  barrier();
  if (t == 0u) {
    uint begin = 0u, tiles = 0u;
    for (uint e = 0; e < experts; ++e) {
      const uint count = places[e];
      places[e] = begin;
      for (uint m = 0; m < count; m += TILE) {
        const uint tile = groups_at + pairs + 1u + 3u * tiles++;
        groups[tile] = e;
        groups[tile + 1u] = begin + m;
        groups[tile + 2u] = min(TILE, count - m);
      }
      begin += count;
    }
    groups[groups_at + pairs] = tiles;
  }
  barrier();
  for (uint p = t; p < pairs; p += 128u) groups[groups_at + atomicAdd(places[expert_of(p)], 1u)] = p;
}
