// What glo/explorer/content.py has put into the page.

export const content = JSON.parse(document.getElementById("content").textContent);
export const height = content.image[0];
export const width = content.image[1];
export const channels = content.image[2];
