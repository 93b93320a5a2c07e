/* A quantizer in C behind a pipe, for `tinycompress verify --command ./adapter_c`. Build: cc -O2 -o adapter_c adapter_c.c -lm
   One word after the other with scanf: run ID quantize 5 f32 NDIM DIM... HEX... f64 0 HEX i64 0 INT i64 0 INT i64 0 INT */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int quantized(float x, float scale, int zero, int qmin, int qmax) {
    double q = rintf(x / scale) + (double)zero;     /* half to even; the zero point after the rounding */
    return q > qmin ? (q < qmax ? q : qmax) : qmin; /* saturate; NaN is not larger than qmin, so it becomes qmin */
}

int main(void) {
    char word[64], id[64];
    scanf("%63s", word); /* the greeting is one word */
    printf("hello quantize\n");
    for (fflush(stdout); scanf("%63s", word) == 1 && !strcmp(word, "run"); fflush(stdout)) {
        int dimensions, shape[8], zero, qmin, qmax, n = 1;
        scanf("%63s %*s %*d %*s %d", id, &dimensions);
        for (int d = 0; d < dimensions; n *= shape[d++]) scanf("%d", &shape[d]);
        uint32_t *bits = malloc(4 * (size_t)n + 1);
        for (int i = 0; i < n; i++) scanf("%" SCNx32, &bits[i]);
        uint64_t scale_bits;
        double scale;
        scanf(" f64 0 %" SCNx64 " i64 0 %d i64 0 %d i64 0 %d", &scale_bits, &zero, &qmin, &qmax);
        memcpy(&scale, &scale_bits, 8);
        printf("ok %s i32 %d", id, dimensions);
        for (int d = 0; d < dimensions; d++) printf(" %d", shape[d]);
        for (int i = 0; i < n; i++) {
            float x;
            memcpy(&x, &bits[i], 4);
            printf(" %d", quantized(x, (float)scale, zero, qmin, qmax));
        }
        printf("\n");
        free(bits);
    }
}
