export * from './api.js';
export { NexaClient as default } from './api.js';
