"""GLSL for the picture and for the shadow map. Material numbers are those of ``materials.Material``.

Software OpenGL computes every branch of a shader for every pixel, so each kind of surface and of light has a shader of its
own, made from one text by what is defined.
"""

from __future__ import annotations

from typing import Literal

Surface = Literal["vehicle", "solid", "ground", "sky"]

MAX_LAMPS = 6
MAX_BEAMS = 4

VERTEX = """#version 330
in vec4 p3d_Vertex; in vec3 p3d_Normal; in vec4 p3d_Color;
uniform mat4 p3d_ModelViewProjectionMatrix; uniform mat4 p3d_ModelMatrix; uniform mat4 shadow_matrix;
out vec3 place; out vec3 normal; flat out vec4 tint; out vec4 shade; out vec3 own;
void main() {
  gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
  place = (p3d_ModelMatrix * p3d_Vertex).xyz;
  normal = mat3(p3d_ModelMatrix) * p3d_Normal;
  tint = p3d_Color; own = p3d_Vertex.xyz;
  shade = shadow_matrix * vec4(place + normalize(normal) * 0.05, 1.0);
  shade.xyz = shade.xyz * 0.5 + 0.5;
}"""

_FRAGMENT = """
in vec3 place; in vec3 normal; flat in vec4 tint; in vec4 shade; in vec3 own;
layout(location = 0) out vec4 picture; layout(location = 1) out vec4 identity;
uniform sampler2D noise; uniform sampler2DShadow shadow_map; uniform sampler2D plate_picture;
uniform vec4 who;               // the identity, written as it is
uniform vec3 paint; uniform vec4 wear;      // gloss, dirt, headlights on, brake lights on
uniform vec2 plate_z;                       // heights of the front and the rear plate
uniform vec3 sun_direction; uniform vec3 sun; uniform vec3 sky; uniform vec3 ground; uniform vec3 horizon;
uniform vec3 eye; uniform vec4 air;         // exposure, wetness, haze, asphalt
uniform vec4 lamps[6]; uniform vec3 lamp_colour; uniform int n_lamps;
uniform vec4 beam_from[4]; uniform vec4 beam_to[4]; uniform int n_beams;
uniform float clouds; uniform float shadow_bias; uniform sampler2DShadow cover_map; uniform mat4 cover_matrix;

float open_sky() {                          // share of the sky that is not covered, seen from near the ground
  vec4 h = cover_matrix * vec4(place + vec3(0.0, 0.0, 0.03), 1.0); vec3 at = h.xyz * 0.5 + 0.5;
  if (at.x < 0.0 || at.x > 1.0 || at.y < 0.0 || at.y > 1.0) return 1.0;
  float near = 0.0, far = 0.0, step_x = 0.5 * length(vec3(cover_matrix[0][0], cover_matrix[1][0], cover_matrix[2][0]));
  float turn = texture(noise, place.xy * 5.3).b * 6.28; vec2 a = vec2(cos(turn), sin(turn)) * step_x, b = vec2(-a.y, a.x);
  near += texture(cover_map, at + vec3(a * 0.22, 0.0)); near += texture(cover_map, at - vec3(a * 0.22, 0.0));
  near += texture(cover_map, at + vec3(b * 0.22, 0.0)); near += texture(cover_map, at - vec3(b * 0.22, 0.0));
  far += texture(cover_map, at + vec3((a + b) * 0.45, 0.0)); far += texture(cover_map, at - vec3((a + b) * 0.45, 0.0));
  far += texture(cover_map, at + vec3((a - b) * 0.45, 0.0)); far += texture(cover_map, at - vec3((a - b) * 0.45, 0.0));
  return 0.22 + 0.78 * (0.125 * near + 0.125 * far);
}
float sunlit(float facing) {                // facing: cosine between the surface and the sun
  if (facing <= 0.0) return 0.0;
  if (shade.x < 0.0 || shade.x > 1.0 || shade.y < 0.0 || shade.y > 1.0) return 1.0;
  float e = 1.0 / 2048.0, s = 0.0, bias = shadow_bias / max(facing, 0.04);
  s += texture(shadow_map, shade.xyz + vec3(-e, -e, -bias)); s += texture(shadow_map, shade.xyz + vec3(e, -e, -bias));
  s += texture(shadow_map, shade.xyz + vec3(-e, e, -bias)); s += texture(shadow_map, shade.xyz + vec3(e, e, -bias));
  return 0.25 * s * smoothstep(0.0, 0.12, facing);
}
vec3 heaven(vec3 d, float soft) {           // what a direction shows: sky with clouds above, ground below
  if (d.z < 0.0) return ground * 0.8;
  vec3 c = mix(horizon, sky * 1.35, smoothstep(0.0, 0.55, d.z));
  vec2 p = d.xy / (d.z + 0.25);
  float k = texture(noise, p * 0.09).g * 0.7 + texture(noise, p * 0.31).r * 0.3;
  return mix(c, mix(horizon, vec3(dot(horizon, vec3(0.33))), 0.7) * 1.1, clouds * smoothstep(0.45, 0.7, k) * soft);
}
void main() {
  identity = who;
  int m = int(tint.a * 255.0 + 0.5) / 16;
  vec3 V = normalize(eye - place), N = normalize(normal);
#ifdef SKY
  vec3 c = heaven(-V, 1.0);
#else
#ifndef VEHICLE
  if (dot(N, V) < 0.0) N = -N;
#else
  if (dot(N, V) < 0.0 && m != 1) N = -N;
#endif
  vec3 albedo = tint.rgb, glow = vec3(0.0); float gloss = 0.0, f0 = 0.04, wet = 0.0, up = 1.0;
#ifdef VEHICLE
  float flake = texture(noise, own.xy * 7.0 + own.z * 3.0).b - 0.5, smut = texture(noise, own.xz * 0.35).r;
  if (m == 1) {
    albedo = paint * (1.0 + 0.06 * flake); gloss = wear.x;
    albedo = mix(albedo, vec3(0.16, 0.14, 0.11), clamp(wear.y * clamp(1.0 - own.z * 1.2, 0.0, 1.0) * smut * 1.4, 0.0, 0.9));
  } else if (m == 2) {
    gloss = 1.0; f0 = 0.07;
    float dim = texture(noise, vec2(own.x * 0.54 + own.y * 0.06, own.y * 0.36)).r;
    float seats = smoothstep(0.45, 0.6, dim) * smoothstep(1.25, 0.95, own.z);
    albedo = mix(albedo * 1.6, vec3(0.008), seats);
  } else if (m == 3) { gloss = 0.6; glow = vec3(1.0, 0.95, 0.82) * wear.z * 7.0; }
  else if (m == 4) { gloss = 0.4; glow = vec3(1.0, 0.03, 0.02) * (0.5 * wear.z + 2.2 * wear.w); }
  else if (m == 9) {
    float z = own.x > 0.0 ? plate_z.x : plate_z.y, side = own.x > 0.0 ? 1.0 : -1.0;
    albedo = texture(plate_picture, vec2(0.5 + side * own.y / 0.52, 0.5 + (own.z - z) / 0.11)).rgb; gloss = 0.2;
    glow = albedo * wear.z * 0.15;
  } else if (m == 14) gloss = 0.5;
#endif
#ifdef GROUND
  up = open_sky();
  float a = texture(noise, place.xy * 0.021).g, b = texture(noise, place.xy * 0.17).r, c0 = texture(noise, place.xy * 0.9).b;
  float grit = texture(noise, place.xy * 3.7).b - 0.5;
  if (m == 5) {
    float d = texture(noise, place.xy * 0.006 + 0.3).r, stain = smoothstep(0.62, 0.8, texture(noise, place.xy * 0.13 + 0.5).g);
    albedo = tint.rgb * 8.0 * air.w * (0.80 + 0.4 * a + 0.3 * d + 0.25 * (b - 0.5) + 0.35 * (c0 - 0.5) + 0.35 * grit);
    albedo *= 1.0 - 0.22 * stain;
    albedo *= mix(0.6, 1.0, smoothstep(0.0, 0.006, abs(texture(noise, place.xy * 0.045 + 0.1).r - 0.5)));
    wet = air.y * smoothstep(0.35, 0.65, d * 0.5 + a * 0.5 + 0.3 * (air.y - 0.5));
    albedo *= 1.0 - 0.45 * max(wet, 0.6 * air.y); gloss = wet; f0 = 0.025;
  } else if (m == 6) {
    albedo = mix(vec3(air.w), tint.rgb, clamp(0.35 + 0.9 * b + (c0 - 0.5) * 0.5 + grit * 0.5, 0.0, 1.0));
    wet = air.y * 0.5; albedo *= 1.0 - 0.3 * air.y; gloss = wet; f0 = 0.025;
  } else albedo *= 0.5 + 0.5 * b + 0.6 * (c0 - 0.3) + 0.3 * a;
#endif
#ifdef SOLID
  bool flat_up = abs(N.z) > 0.5;
  vec2 on = flat_up ? place.xy : vec2(place.x + place.y, place.z);
  float broad = texture(noise, on * 0.11).g, fine = texture(noise, on * 1.3).b;
  if (m == 7) {
    vec2 q = abs(N.x) > abs(N.y) ? place.yz : place.xz, cell = q * vec2(0.32, 0.31), g = fract(cell);
    bool pane = g.x > 0.2 && g.x < 0.75 && g.y > 0.3 && g.y < 0.75 && !flat_up && place.z > 1.0;
    float lit = texture(noise, floor(cell) * 0.137).b;
    if (pane) { albedo = vec3(0.05, 0.06, 0.07); gloss = 1.0; if (lit > 0.62 && n_lamps > 0) glow = vec3(1.0, 0.8, 0.5) * 0.5; }
    else albedo *= 0.75 + 0.5 * broad;
  } else if (m == 8) albedo *= 0.35 + 0.8 * broad + 0.6 * (fine - 0.3);
  else if (m == 11) { glow = n_lamps > 0 ? lamp_colour * 5.0 : vec3(0.0); gloss = 0.3; }
  else if (m == 12) albedo *= 0.6 + 0.6 * broad + 0.25 * (fine - 0.5);
  else if (m == 13) { gloss = 0.15; glow = tint.rgb * (n_lamps > 0 ? 0.06 : 0.0); }
  else if (m == 14) gloss = 0.5;
#endif
  vec3 sum = mix(ground, sky, N.z * 0.5 + 0.5) * up, shine = vec3(0.0); float s = 0.0;
#ifdef SUN
  s = sunlit(dot(N, sun_direction)); sum += sun * max(dot(N, sun_direction), 0.0) * s;
#endif
#ifdef LAMPS
  for (int i = 0; i < n_lamps; ++i) {
    vec3 d = lamps[i].xyz - place; float r = length(d); d /= r;
    vec3 power = lamp_colour * lamps[i].w * 36.0 / (4.0 + r * r);
    sum += power * max(dot(N, d), 0.0);
    vec3 H = normalize(d + V * (1.0 + 1.5 * wet));
    shine += power * pow(max(dot(N, H), 0.0), mix(60.0, 24.0, wet)) * (f0 + 0.12 * wet) * 2.0;
  }
#endif
#ifdef BEAMS
  for (int i = 0; i < n_beams; ++i) {
    vec3 d = beam_from[i].xyz - place; float r = length(d); d /= r; float along = dot(-d, beam_to[i].xyz);
    float cone = smoothstep(0.86, 0.97, along) * 60.0 / (6.0 + r * r);
    sum += vec3(1.0, 0.93, 0.8) * cone * beam_from[i].w * max(dot(N, d) + 0.05, 0.0);
    vec3 R = reflect(-d, N); shine += vec3(1.0, 0.93, 0.8) * wet * 14.0 / (3.0 + r * r) * pow(max(dot(R, V), 0.0), 20.0);
  }
#endif
  vec3 c = albedo * sum;
#ifdef GLOSS
  {
    vec3 R = reflect(-V, N); float F = f0 + (1.0 - f0) * pow(1.0 - max(dot(N, V), 0.0), 5.0);
    float skyline = 0.03 + 0.28 * texture(noise, vec2(atan(R.y, R.x) * 0.32, 0.2)).r;
    vec3 env = mix(horizon * 0.35, heaven(R, 0.6), smoothstep(skyline - 0.06, skyline + 0.06, R.z));
    c += gloss * (env * F * 1.2 + sun * s * pow(max(dot(R, sun_direction), 0.0), 180.0) * 3.0 * (F + 0.1) + shine);
  }
#endif
  c += glow;
  c = mix(c, horizon * 0.9, 1.0 - exp(-length(eye - place) * air.z));
#endif
  picture = vec4(pow(1.0 - exp(-c * air.x), vec3(1.0 / 2.2)), 1.0);
}"""

DEPTH_VERTEX = """#version 330
in vec4 p3d_Vertex; uniform mat4 p3d_ModelViewProjectionMatrix;
void main() { gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex; }"""

DEPTH_FRAGMENT = """#version 330
out vec4 nothing;
void main() { nothing = vec4(1.0); }"""


def fragment(surface: Surface, *, has_sun: bool, has_lamps: bool, has_beams: bool, is_wet: bool) -> str:
    """The shader of a kind of surface under a kind of light."""
    has_gloss = surface in ("vehicle", "solid") or is_wet
    chosen = {"SUN": has_sun, "LAMPS": has_lamps, "BEAMS": has_beams, "GLOSS": has_gloss, surface.upper(): True}
    return "#version 330\n" + "".join(f"#define {name}\n" for name, is_on in chosen.items() if is_on) + _FRAGMENT
