#include "client.h"

#include "print.h"
#include "psci.h"
#include "uart.h"

__attribute__((aligned(4096))) uint64_t tx[512], rx[512];
bool owns_el2;
uint16_t own_id;

/* Called by start.S. */
void bare_main(uint64_t fdt);
void bare_main(uint64_t fdt)
{
    (void)fdt;
    owns_el2 = current_el() == 2;
    uart_init();
    print("BL33 FF-A Test Client (NS-EL%u)\n", owns_el2 ? 2 : 1);
    ffa_use_smc(true);
    psci_use_smc(true);
    interrupts_init();
    numbered_tests();
    setup_tests();
    message_tests();
    schedule_tests();
    memory_tests();
    hostile_tests();
    notification_tests();
    abort_tests();
    report_summary();
    psci_system_off();
}
