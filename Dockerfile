# The hosts and the client of docker-compose.yml: this folder, built.
FROM node:22-slim
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
ENTRYPOINT ["node", "dist/cli/main.js"]
