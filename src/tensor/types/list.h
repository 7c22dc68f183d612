#pragma once

#include "tensor/types.h"

namespace hearth {

extern const TypeInfo f32_type, f16_type, bf16_type, f64_type, i8_type, i16_type, i32_type, i64_type,
    q8_1_type, q8_k_type;
extern const TypeInfo q4_0_type, q4_1_type, q5_0_type, q5_1_type, q8_0_type, q1_0_type, q2_0_type;
extern const TypeInfo iq4_nl_type, mxfp4_type, nvfp4_type, tq1_0_type, tq2_0_type;
extern const TypeInfo q2_k_type, q3_k_type, q4_k_type, q5_k_type, q6_k_type;
extern const TypeInfo iq4_xs_type, iq2_xxs_type, iq2_xs_type, iq2_s_type, iq3_xxs_type, iq3_s_type,
    iq1_s_type, iq1_m_type;

}  // namespace hearth
