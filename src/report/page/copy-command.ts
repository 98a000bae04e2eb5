// The button that copies the command. It is shown only where the browser lets a page write to the clipboard.

const button = document.querySelector<HTMLButtonElement>('#copy')!;
const command = document.querySelector('#command')!;

if (navigator.clipboard) {
  button.hidden = false;
  button.addEventListener('click', () => void copy());
}

async function copy(): Promise<void> {
  try {
    await navigator.clipboard.writeText(command.textContent ?? '');
    button.textContent = 'Copied';
  } catch {
    // Refused by the browser: select the text instead, so that the usual keys copy it.
    getSelection()?.selectAllChildren(command);
    button.textContent = 'Selected';
  }
}
