/* Prints a hash of what every instruction set of this machine draws, a line each: the same on every machine.  Run by check.py, here and
 * under qemu for AArch64.  Usage: tiles < parameters, a line a draw: draw storage count p0 p1 ... as hexadecimal floats. */
#include "fastinit.h"
#include <stdio.h>
#include <stdlib.h>

static unsigned char out[64 * 64 * 8];

int main(void) {
    const fi_isa *list[FI_ISAS];
    int count = fi_isas(list), draw, storage, parameters;
    while (scanf("%d %d %d", &draw, &storage, &parameters) == 3) {
        fi_draw d = {0x0123456789ABCDEFu, 0xFEDCBA9876543210u, 0, {0}};
        for (int k = 0; k < parameters; k++)
            if (scanf("%la", &d.parameters[k]) != 1) return 1;
        for (int k = 0; k < count; k++) {
            uint64_t hash = 14695981039346656037u;
            for (size_t b = 0; b < sizeof out; b++) out[b] = 0;
            list[k]->tiles[draw][storage](&d, 1000, 64, out);
            for (size_t b = 0; b < sizeof out; b++) hash = (hash ^ out[b]) * 1099511628211u;
            printf("%d %d %s %016llx\n", draw, storage, list[k]->name, (unsigned long long)hash);
        }
    }
    if (fi_rejected()[0]) printf("refused: %s\n", fi_rejected());
    return 0;
}
