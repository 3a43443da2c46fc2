/* PL011 at its fixed place on the board; 24 MHz clock rates are meaningless here and left alone. */
#ifndef UART_H
#define UART_H

#include <stdint.h>

#define UART_BASE 0x09000000UL
#define UART_INTID 33U

enum uart_register {
    UART_DR = 0x000,
    UART_FR = 0x018,
    UART_IBRD = 0x024,
    UART_FBRD = 0x028,
    UART_LCRH = 0x02c,
    UART_CR = 0x030,
    UART_IFLS = 0x034,
    UART_IMSC = 0x038,
    UART_RIS = 0x03c,
    UART_MIS = 0x040,
    UART_ICR = 0x044,
    UART_PERIPH_ID0 = 0xfe0,
    UART_PCELL_ID0 = 0xff0,
};

#define UART_FR_RXFE (1U << 4)
#define UART_FR_TXFF (1U << 5)
#define UART_FR_TXFE (1U << 7)
#define UART_INT_RX (1U << 4)
#define UART_INT_TX (1U << 5)
#define UART_INT_RT (1U << 6)

void uart_init(void);
void uart_enable_rx_interrupt(void);
void uart_putc(char c);
/* The next received character, or -1 when there is none. */
int uart_getc(void);

#endif
