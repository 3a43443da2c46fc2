#include "uart.h"

#include "mmio.h"

#define LCRH_8BIT_FIFO 0x70U
#define CR_ENABLE_TX_RX 0x301U

void uart_init(void)
{
    mmio_write32(UART_BASE + UART_CR, 0);
    mmio_write32(UART_BASE + UART_IMSC, 0);
    mmio_write32(UART_BASE + UART_ICR, 0x7ff);
    mmio_write32(UART_BASE + UART_LCRH, LCRH_8BIT_FIFO);
    mmio_write32(UART_BASE + UART_IFLS, 0);
    mmio_write32(UART_BASE + UART_CR, CR_ENABLE_TX_RX);
}

void uart_enable_rx_interrupt(void)
{
    /* The FIFO level interrupt alone would leave a few characters waiting for more. */
    mmio_write32(UART_BASE + UART_IMSC, UART_INT_RX | UART_INT_RT);
}

void uart_putc(char c)
{
    while (mmio_read32(UART_BASE + UART_FR) & UART_FR_TXFF)
        ;
    mmio_write32(UART_BASE + UART_DR, (uint8_t)c);
}

int uart_getc(void)
{
    if (mmio_read32(UART_BASE + UART_FR) & UART_FR_RXFE)
        return -1;
    return (int)(mmio_read32(UART_BASE + UART_DR) & 0xff);
}
